/**
 * One small resource of every stack that has machines. It holds a random text, recorded in the state before any machine
 * is made, which tells this stack's machines from those of another one with the same names (another state backend, or
 * this stack before it was destroyed). See docs/decisions/0002-create-identity.md.
 */
import * as pulumi from "@pulumi/pulumi";
import { identityLoader, identityType } from "./loader";

export class StackIdentity extends pulumi.CustomResource {
  /** Random, for the life of the stack. */
  declare readonly identity: pulumi.Output<string>;

  constructor(name: string) {
    super(identityType, name, { identity: undefined, __provider: identityLoader });
  }
}

// On the global object and not in this module: a program may load two copies of the package, a stack has one identity.
const slot = Symbol.for("pulumi-machines.stackIdentities");
type Known = WeakMap<object, StackIdentity>;
const noStack = {};

/** The identity of the stack whose program runs now; registered by the first machine of the program. */
export function stackIdentity(): StackIdentity {
  const holder = globalThis as { [slot]?: Known };
  const known: Known = (holder[slot] ??= new WeakMap());
  // Several programs may run in one process (Automation API): each has its own root resource.
  const root: object = pulumi.runtime.getStackResource() ?? noStack;
  const found = known.get(root);
  if (found) return found;
  const made = new StackIdentity("pulumi-machines");
  known.set(root, made);
  return made;
}
