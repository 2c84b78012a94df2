/** A stack's state as `pulumi stack export` prints it: what is ours in it. Pure. */
import { z } from "zod";
import { identityType, machineType, snapshotType, webhookType } from "../loader";
import { partsOf } from "../controlplane/tags";

type Properties = Record<string, unknown>;

const resourceSchema = z.looseObject({
  urn: z.string(),
  type: z.string(),
  id: z.string().optional(),
  inputs: z.record(z.string(), z.unknown()).optional(),
  outputs: z.record(z.string(), z.unknown()).optional(),
  initErrors: z.array(z.string()).nullish(),
  created: z.string().optional(),
  modified: z.string().optional(),
  external: z.boolean().optional(),
  delete: z.boolean().optional(),
});

const deploymentSchema = z.looseObject({
  deployment: z
    .looseObject({
      manifest: z.looseObject({ version: z.string().optional() }).optional(),
      resources: z.array(resourceSchema).nullish(),
      pending_operations: z.array(z.looseObject({ type: z.string(), resource: resourceSchema })).nullish(),
    })
    .nullish(),
});

/** A resource of ours with something on the backend behind it. */
export interface Entry {
  urn: string;
  /** In the program. */
  name: string;
  noun: "machine" | "snapshot" | "webhook";
  id: string;
  /** Without secrets. */
  outputs: Properties;
  initErrors: string[];
  /** ISO 8601, where the CLI writes it. */
  createdAt?: string;
  modifiedAt?: string;
  /** Only read by the stack (`Machine.get`): not its own. */
  isRead: boolean;
  /** Replaced by another one, and to be deleted. */
  isReplaced: boolean;
}

export interface PendingOperation {
  urn: string;
  name: string;
  /** "creating", "updating", "deleting", ... */
  type: string;
  isMachine: boolean;
}

export interface StackState {
  /** Of the stack's life; undefined where it never had a machine. */
  identity?: string;
  entries: Entry[];
  pending: PendingOperation[];
  /** Of all that is in the state, by URN. */
  urns: ReadonlySet<string>;
  /** Of the CLI that wrote it, such as "3.250.0". */
  writtenBy?: string;
}

/** What was printed is no deployment. */
export class StateFormatError extends Error {
  override readonly name = "StateFormatError";
}

const nouns: Record<string, Entry["noun"]> = {
  [machineType]: "machine",
  [snapshotType]: "snapshot",
  [webhookType]: "webhook",
};

/** @throws StateFormatError */
export function readState(text: string): StackState {
  const parsed = deploymentSchema.safeParse(parseJson(text));
  if (!parsed.success) {
    throw new StateFormatError(`"pulumi stack export" printed no deployment that this version can read`);
  }
  const { manifest, resources, pending_operations: pending } = parsed.data.deployment ?? {};
  const all = resources ?? [];
  const identity = all.find(({ type, delete: dying }) => type === identityType && !dying)?.outputs?.identity;
  const writtenBy = manifest?.version?.replace(/^v/, "");
  return {
    entries: all.flatMap(entryOf),
    pending: (pending ?? []).map(({ type, resource: { urn, type: kind } }) => ({
      urn,
      name: partsOf(urn).name,
      type,
      isMachine: kind === machineType,
    })),
    urns: new Set(all.map(({ urn }) => urn)),
    ...(typeof identity === "string" ? { identity } : {}),
    ...(writtenBy ? { writtenBy } : {}),
  };
}

function entryOf(resource: z.infer<typeof resourceSchema>): Entry[] {
  const { urn, type, id, outputs, initErrors, created, modified } = resource;
  const noun = nouns[type];
  if (noun === undefined || id === undefined || id === "") return [];
  const entry: Entry = {
    urn,
    noun,
    id,
    name: partsOf(urn).name,
    outputs: withoutSecrets(outputs ?? {}),
    initErrors: initErrors ?? [],
    isRead: resource.external === true,
    isReplaced: resource.delete === true,
  };
  if (created !== undefined) entry.createdAt = created;
  if (modified !== undefined) entry.modifiedAt = modified;
  return [entry];
}

/** Marks a value of a special kind in Pulumi's JSON, a secret's ciphertext among them. */
const signatureKey = "4dabf18193072939515e22adb298388d";

/** What is secret, or holds a secret, is left out: nothing can be compared with it. */
function withoutSecrets(properties: Properties): Properties {
  return Object.fromEntries(Object.entries(properties).filter(([, value]) => !isSpecial(value)));
}

const isSpecial = (value: unknown): boolean =>
  typeof value === "object" &&
  value !== null &&
  (Object.hasOwn(value, signatureKey) || Object.values(value).some(isSpecial));

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
