/** The reference of the Webhook resource, from its schema. */
import { referenceOf, type ReferenceEntry } from "../reference";
import { webhookArgs } from "./args";
import { changeText } from "./changes";
import { outputDescriptions, outputTypes } from "./state";

export const webhookReference = (): ReferenceEntry[] =>
  referenceOf(
    { args: webhookArgs, outputs: outputDescriptions, outputTypes, changeText },
    "The webhook's id at the service.",
  );
