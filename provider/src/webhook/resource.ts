/** The resource class that a program uses. It only registers; the work is done by the provider (lifecycle.ts). */
import * as pulumi from "@pulumi/pulumi";
import type { z } from "zod";
import { defaultJournal } from "../create-journal";
import type { ArgsOf } from "../inputs";
import { webhookLoader, webhookType } from "../loader";
import { propertiesOf } from "../registration";
import type { webhookArgs } from "./args";
import { outputDescriptions } from "./state";

/** The arguments of a Webhook; `url`, `operations` and `secret` are required. */
export type WebhookArgs = ArgsOf<z.input<typeof webhookArgs>>;

/**
 * Somebody who is told of lifecycle events: each is sent to the URL, signed with the secret (`verifyWebhook` of
 * `@pulumi-machines/sdk` checks it). Everything about it changes in place, and a new secret is an update.
 * The service never answers the secret: that it was changed outside of Pulumi cannot be seen.
 *
 * @example
 * const secret = config.requireSecret("webhookSecret");
 * new Webhook("audit", { url: "https://audit.example.com/machines", operations: ["create", "destroy"], secret });
 */
export class Webhook extends pulumi.CustomResource {
  declare readonly url: pulumi.Output<string>;
  declare readonly operations: pulumi.Output<string[]>;
  /** A secret; undefined of a `Webhook.get`. */
  declare readonly secret: pulumi.Output<string | undefined>;
  declare readonly enabled: pulumi.Output<boolean>;
  declare readonly hasSecret: pulumi.Output<boolean>;
  /** ISO 8601. */
  declare readonly createdAt: pulumi.Output<string>;
  declare readonly updatedAt: pulumi.Output<string>;
  declare readonly lastDeliveryAt: pulumi.Output<string | undefined>;
  /** "queued", "in_progress", "succeeded" or "dead_letter". */
  declare readonly lastDeliveryStatus: pulumi.Output<string | undefined>;
  declare readonly lastError: pulumi.Output<string | undefined>;

  constructor(name: string, args: WebhookArgs, opts: pulumi.CustomResourceOptions = {}) {
    const outputs = [...readArguments, ...Object.keys(outputDescriptions), "__key"];
    // Never in plain text, whatever the program thought of.
    const given = args.secret === undefined ? args : { ...args, secret: pulumi.secret(args.secret) };
    const registration = { type: webhookType, loader: webhookLoader, outputs };
    super(
      webhookType,
      name,
      propertiesOf(registration, name, given, opts),
      pulumi.mergeOptions(opts, { additionalSecretOutputs: ["secret"] }),
    );
    if (opts.id === undefined) rememberRecorded(this);
  }

  /** An existing webhook by its id; it is read, never changed, and not removed by `pulumi destroy`. */
  static get(name: string, id: pulumi.Input<pulumi.ID>, opts: pulumi.CustomResourceOptions = {}): Webhook {
    return new Webhook(name, {} as WebhookArgs, { ...opts, id });
  }
}

/** Arguments that are outputs, too, also of a webhook that is only read. */
const readArguments = ["url", "operations", "secret", "enabled"];

/**
 * The engine answers a registration after it has written the state: from then on this webhook belongs to the stack, and
 * a create under the same name is a replacement. Nothing tells the provider, so the program notes it.
 */
function rememberRecorded(webhook: Webhook): void {
  if (pulumi.runtime.isDryRun()) return;
  const { __key: made } = webhook as unknown as { __key: pulumi.Output<string | undefined> };
  pulumi.all([webhook.id, made]).apply(([webhookId, key]) => {
    if (typeof key === "string") defaultJournal().merge({ key, webhookId, recorded: true });
  });
}
