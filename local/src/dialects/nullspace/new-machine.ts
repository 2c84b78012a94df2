/** POST /v1/machines: what a create asks for, in the engine's terms. Everything that is wrong is told at once. */
import { type CreateMachineBody, createMachineRequest } from "@pulumi-machines/sdk/nullspace/wire";
import type { NewMachine } from "../../engine/control-plane";
import type { MachineSize, MachineTraits } from "../../engine/record";
import type { Violation } from "../../http-errors";
import { violation } from "../../http-violations";
import { createDefaults, type Range, type SizeLimits } from "../../settings";
import { cwdViolations, normalCwd } from "./cwd";
import { egressOf, egressViolations, networkViolations } from "./egress";
import { notImplemented, wireError } from "./errors";
import { engineSnapshotId } from "./ids";
import { leaseOf, leaseViolations } from "./lease";
import { envsViolations, parse } from "./requests";

/** The only template here. */
const baseTemplate = "base";
/** The vendor's own defaults, where a member is absent or null. */
const defaultVcpus = 1;
const defaultMemoryMb = 256;
const mibPerGib = 1024;
const maxMetadataBytes = 65_536;

/** Members that a snapshot gives, so that a create from one cannot. */
const fromSnapshot = [
  "template",
  "vcpus",
  "memory_mb",
  "disk_mb",
  "envs",
  "cwd",
  "internet_access",
  "desktop",
] as const;

/** What a create answers about its warm pool: there are none here. */
export interface WarmPoolCheckout {
  source: "cold_create" | "bypassed";
  hit: false;
  id?: string;
  mode: "prefer" | "bypass";
}

export interface CreateCall {
  /** As it was understood, for the hash of its idempotency key. */
  body: CreateMachineBody;
  spec: NewMachine;
  warmPool: WarmPoolCheckout | undefined;
}

/** @throws WireError 400 with every violation; 404 for a template or snapshot that nothing is called; 501 for what cannot be had here */
export function newMachine(given: unknown, limits: SizeLimits): CreateCall {
  const body = createBody(given, limits, snapshotViolations);
  return {
    body,
    spec: body.snapshot_id === undefined ? coldSpec(body, limits) : snapshotSpec(body, body.snapshot_id),
    warmPool: checkout(body.warm_pool),
  };
}

/** @param also what else is wrong with the fields as they were given @throws WireError as `newMachine` */
export function createBody(
  given: unknown,
  limits: SizeLimits,
  also: (fields: Record<string, unknown>) => Violation[],
): CreateMachineBody {
  const body = parse(createMachineRequest, given, (fields) => [
    ...sizeViolations("vcpus", fields["vcpus"], wholeRange(limits.vcpu), "vCPUs"),
    ...sizeViolations("memory_mb", fields["memory_mb"], limits.memoryMiB, "MiB"),
    ...sizeViolations("disk_mb", fields["disk_mb"], diskRange(limits), "MiB"),
    ...envsViolations("body.envs", fields["envs"]),
    ...cwdViolations(fields["cwd"]),
    ...metadataViolations(fields["metadata"]),
    ...also(fields),
    ...leaseViolations(fields),
    ...networkViolations(fields),
    ...warmPoolViolations(fields["warm_pool"]),
  ]);
  refuseMissing(body);
  return body;
}

// ---------------------------------------------------------------- the engine's terms

function coldSpec(body: CreateMachineBody, limits: SizeLimits): NewMachine {
  return {
    size: sizeOf(body, limits),
    autosleepSeconds: 0,
    traits: traitsOf(body),
    env: body.envs ?? {},
    lease: leaseOf(body),
  };
}

/** Of a machine that is made from the template. */
export const traitsOf = (body: CreateMachineBody): MachineTraits => ({
  template: baseTemplate,
  metadata: body.metadata ?? {},
  cwd: body.cwd === undefined ? null : normalCwd(body.cwd),
  egress: egressOf(body),
});

/** Size, folder, variables and network come from the snapshot; metadata and limits are the new machine's own. */
function snapshotSpec(body: CreateMachineBody, snapshotId: string): NewMachine {
  return {
    fromSnapshotId: snapshotNamed(snapshotId),
    autosleepSeconds: 0,
    traits: { metadata: body.metadata ?? {} },
    lease: leaseOf(body),
  };
}

/** @throws WireError 404 */
export function snapshotNamed(id: string): string {
  const found = engineSnapshotId(id);
  if (found !== undefined) return found;
  throw wireError(404, "snapshot_not_found", `there is no snapshot ${JSON.stringify(id)}`);
}

const sizeOf = (body: CreateMachineBody, limits: SizeLimits): MachineSize => ({
  vcpu: body.vcpus ?? clamp(defaultVcpus, wholeRange(limits.vcpu)),
  memoryMiB: body.memory_mb ?? clamp(defaultMemoryMb, limits.memoryMiB),
  storageGiB:
    body.disk_mb === undefined
      ? clamp(createDefaults.storageGiB, limits.storageGiB)
      : Math.ceil(body.disk_mb / mibPerGib),
});

const clamp = (value: number, { min, max }: Range): number => Math.min(Math.max(value, min), max);

const wholeRange = ({ min, max }: Range): Range => ({ min: Math.ceil(min), max: Math.floor(max) });

/** Disks are whole GiB here, rounded up: one below the smallest becomes the smallest. */
const diskRange = ({ storageGiB }: SizeLimits): Range => ({
  min: storageGiB.min <= 1 ? 1 : (storageGiB.min - 1) * mibPerGib + 1,
  max: storageGiB.max * mibPerGib,
});

// ---------------------------------------------------------------- what is wrong

function sizeViolations(field: string, value: unknown, { min, max }: Range, unit: string): Violation[] {
  if (typeof value !== "number" || (value >= min && value <= max)) return [];
  return [violation(`body.${field}`, `must be from ${String(min)} to ${String(max)} ${unit}`)];
}

function snapshotViolations(fields: Record<string, unknown>): Violation[] {
  if (typeof fields["snapshot_id"] !== "string") return [];
  const network = fields["network"];
  const policies =
    typeof network === "object" && network !== null
      ? ["egress", "deny_out", "allow_out"]
          .filter((name) => isGiven((network as Record<string, unknown>)[name]))
          .map((name) => `network.${name}`)
      : [];
  return [...fromSnapshot.filter((name) => isGiven(fields[name])), ...policies].map((name) =>
    violation(`body.${name}`, "comes from the snapshot; leave it out together with snapshot_id"),
  );
}

const isGiven = (value: unknown): boolean => value !== undefined && value !== null;

function warmPoolViolations(value: unknown): Violation[] {
  if (typeof value !== "object" || value === null) return [];
  const { id, mode } = value as { id?: unknown; mode?: unknown };
  return mode !== "bypass" && !isGiven(id)
    ? [violation("body.warm_pool.id", "required with the modes prefer and require")]
    : [];
}

/** Every event of a machine repeats it. */
export function metadataViolations(value: unknown): Violation[] {
  const bytes = isGiven(value) ? Buffer.byteLength(JSON.stringify(value)) : 0;
  return bytes > maxMetadataBytes
    ? [
        violation(
          "body.metadata",
          `must be at most ${String(maxMetadataBytes)} bytes of JSON, not ${String(bytes)}`,
        ),
      ]
    : [];
}

// ---------------------------------------------------------------- what cannot be had here

function refuseMissing(body: CreateMachineBody): void {
  const { template, desktop, volumes, network, warm_pool: pool } = body;
  if (template !== undefined && template !== baseTemplate) {
    throw wireError(
      404,
      "template_not_found",
      `there is no template ${JSON.stringify(template)}: the embedded control plane has one, "${baseTemplate}"`,
    );
  }
  if (desktop !== undefined) throw notImplemented("desktop: desktops are");
  if (volumes !== undefined && volumes.length > 0) throw notImplemented("volumes: volumes are");
  if (network?.allow_public_traffic === false) {
    throw notImplemented("network.allow_public_traffic: access tokens of ports are");
  }
  if (network?.mask_request_host !== undefined) {
    throw notImplemented("network.mask_request_host: a proxy in front of ports is");
  }
  for (const [name, policy] of egressViolations(network)) throw notImplemented(`network.${name}: ${policy}`);
  if (pool?.mode === "require") {
    throw wireError(
      503,
      "warm_pool_unavailable",
      `there is no warm pool ${JSON.stringify(pool.id)}: the embedded control plane has none; use the mode prefer or bypass`,
    );
  }
}

function checkout(pool: CreateMachineBody["warm_pool"]): WarmPoolCheckout | undefined {
  if (pool === undefined) return undefined;
  const id = pool.id === undefined ? {} : { id: pool.id };
  return pool.mode === "bypass"
    ? { source: "bypassed", hit: false, ...id, mode: "bypass" }
    : { source: "cold_create", hit: false, ...id, mode: "prefer" };
}
