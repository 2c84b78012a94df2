/** What every resource class adds to what the program gave; see hidden.ts. */
import type * as pulumi from "@pulumi/pulumi";
import { ownUrn } from "./own-urn";
import { stackIdentity } from "./stack-identity";

export interface Registration {
  type: string;
  loader: string;
  /** The computed outputs; named, they exist on the instance. */
  outputs: readonly string[];
}

/** The properties to register: outputs without a value, the arguments, and what is hidden. */
export function propertiesOf(
  { type, loader, outputs }: Registration,
  name: string,
  args: object,
  opts: pulumi.CustomResourceOptions,
): pulumi.Inputs {
  return {
    ...Object.fromEntries(outputs.map((output) => [output, undefined])),
    ...args,
    __provider: loader,
    __urn: ownUrn(name, type, opts.parent),
    // What is only read needs no identity.
    __stackIdentity: opts.id === undefined ? stackIdentity().identity : undefined,
  };
}
