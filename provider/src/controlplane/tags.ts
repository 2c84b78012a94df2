/** The tags that tell which resource of which stack a machine is: flat pairs, so that a list can select by each. Pure. */
import { createKey, type ResourceIdentity } from "../identity";
import type { Tags } from "./port";

const prefix = "pulumi:";

export const tagNames = {
  project: `${prefix}project`,
  stack: `${prefix}stack`,
  resource: `${prefix}resource`,
  /** Of the stack's life; see stack-identity.ts. */
  identity: `${prefix}identity`,
  /** The key that the machine was created with; names exactly one machine. */
  key: `${prefix}key`,
} as const;

/** @param generation The number of the machine among those that the resource has had. */
export function tagsFor(identity: ResourceIdentity, generation: number): Tags {
  const { project, stack, name } = partsOf(identity.urn);
  return {
    [tagNames.project]: project,
    [tagNames.stack]: stack,
    [tagNames.resource]: name,
    [tagNames.identity]: identity.stackIdentity,
    [tagNames.key]: createKey(identity, generation),
  };
}

export interface UrnParts {
  project: string;
  stack: string;
  type: string;
  name: string;
}

/** `urn:pulumi:STACK::PROJECT::TYPE::NAME`; a name may hold "::" itself. */
export function partsOf(urn: string): UrnParts {
  const [stack = "", project = "", type = "", ...name] = urn.replace(/^urn:pulumi:/, "").split("::");
  return { stack, project, type: type.slice(type.lastIndexOf("$") + 1), name: name.join("::") };
}

/** A machine's metadata as the user's own pairs, and the tags. */
export function splitMetadata(all: Record<string, unknown>): {
  metadata: Record<string, unknown>;
  tags: Tags;
} {
  const entries = Object.entries(all);
  const isTag = ([name]: [string, unknown]): boolean => name.startsWith(prefix);
  return {
    metadata: Object.fromEntries(entries.filter((entry) => !isTag(entry))),
    tags: Object.fromEntries(entries.filter(isTag).map(([name, value]) => [name, String(value)])),
  };
}

/** The names of the user's own pairs that would be taken for tags. */
export const reservedIn = (metadata: Record<string, unknown>): string[] =>
  Object.keys(metadata).filter((name) => name.startsWith(prefix));
