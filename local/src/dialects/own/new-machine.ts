/**
 * POST /local/v1/machines: a machine with all that either vendor's create knows. Each part is read by its own dialect, so that
 * nothing has a second name here.
 */
import { isMachineId } from "@pulumi-machines/sdk/dedalus/wire";
import type { CreateMachineBody } from "@pulumi-machines/sdk/nullspace/wire";
import { z } from "zod";
import type { ForkChange, MachineChange, NewMachine } from "../../engine/control-plane";
import type { Lease } from "../../engine/record";
import { ApiError, invalid, type Violation } from "../../http-errors";
import { violation, violationsOf } from "../../http-violations";
import { createDefaults, type SizeLimits } from "../../settings";
import { engineId } from "../dedalus/render";
import { machineChange, newMachine as newDedalusMachine } from "../dedalus/requests";
import { egressOf } from "../nullspace/egress";
import { WireError } from "../nullspace/errors";
import { leaseOf } from "../nullspace/lease";
import { createBody, snapshotNamed, traitsOf } from "../nullspace/new-machine";

const request = z.strictObject({
  dedalus: z.record(z.string(), z.unknown()).optional(),
  nullspace: z.record(z.string(), z.unknown()).optional(),
  fork_of: z.string().optional(),
});

/** The sizes have one place, the other part. */
const sizes = { vcpus: "vcpu", memory_mb: "memory_mib", disk_mb: "storage_gib" } as const;
/** What a disk brings with it. */
const brought = ["template", "envs", "cwd", "desktop"] as const;

export interface OwnCreate {
  /** As it was understood, for the hash of its idempotency key. */
  asked: unknown;
  /** From the template or a snapshot; or a copy of a machine. */
  make: { spec: NewMachine } | { forkOf: string; own: ForkChange };
}

/** @throws ApiError 422 with every violation of both parts; WireError 404 and 501 */
export function newMachine(given: unknown, limits: SizeLimits): OwnCreate {
  const parsed = request.safeParse(given ?? {});
  if (!parsed.success) throw invalid(violationsOf(parsed.error, given ?? {}, "body"));
  const { dedalus = {}, nullspace = {}, fork_of: forkOf } = parsed.data;
  const fromSnapshot = nullspace["snapshot_id"] ?? undefined;
  const isCopy = forkOf !== undefined || fromSnapshot !== undefined;

  const found: Violation[] = [];
  if (forkOf !== undefined && !isMachineId(forkOf)) {
    found.push(violation("body.fork_of", "must be dm- and then lower case letters, digits, hyphens", forkOf));
  }
  if (forkOf !== undefined && fromSnapshot !== undefined) {
    found.push(
      violation("body.fork_of", "contradicts nullspace.snapshot_id: a machine is made from one of them"),
    );
  }
  const change = within("dedalus", found, () =>
    isCopy ? machineChange(dedalus, limits) : newDedalusMachine(dedalus, { limits, sizesOptional: false }),
  );
  const body = within("nullspace", found, () =>
    createBody(nullspace, limits, (fields) => [
      ...named(fields, Object.keys(sizes)).map((name) =>
        violation(`body.${name}`, `is dedalus.${sizes[name as keyof typeof sizes]} here`),
      ),
      ...(isCopy ? named(fields, brought) : []).map((name) =>
        violation(`body.${name}`, "comes with what the machine is made from; leave it out"),
      ),
    ]),
  );
  const autosleep = dedalus["autosleep"];
  if (body?.ephemeral === true && (change?.autosleepSeconds ?? 0) > 0 && autosleep !== undefined) {
    found.push(
      violation("body.dedalus.autosleep", "contradicts nullspace.ephemeral: it never sleeps", autosleep),
    );
  }
  if (found.length > 0 || change === undefined || body === undefined) throw invalid(found);
  return {
    asked: { dedalus: change, nullspace: body, fork_of: forkOf },
    make: made(change, body, forkOf, autosleep),
  };
}

function made(
  change: MachineChange,
  body: CreateMachineBody,
  forkOf: string | undefined,
  autosleep: unknown,
): OwnCreate["make"] {
  const { autosleepSeconds: _, ...size } = change;
  const autosleepSeconds = autosleep === undefined ? defaultAutosleep(body) : (change.autosleepSeconds ?? 0);
  // Of a limit that nobody asked for, a machine of ours does not end.
  const lease: Partial<Lease> = { ...leaseOf(body), timeoutMs: body.timeout_ms ?? null };
  const own = { size, autosleepSeconds, lease, traits: copyTraits(body) };
  if (forkOf !== undefined) return { forkOf: engineId(forkOf), own };
  if (body.snapshot_id !== undefined) {
    return { spec: { ...own, fromSnapshotId: snapshotNamed(body.snapshot_id) } };
  }
  return { spec: { ...own, traits: traitsOf(body), env: body.envs ?? {} } };
}

/** Of a copy: its metadata is its own, and so is the network policy where it is given. */
const copyTraits = (body: CreateMachineBody): NonNullable<ForkChange["traits"]> => ({
  metadata: body.metadata ?? {},
  ...(body.network?.egress !== undefined ||
  body.network?.deny_out !== undefined ||
  body.internet_access !== undefined
    ? { egress: egressOf(body) }
    : {}),
});

/** Whoever gives another clock for idleness, or wants no sleep at all, means no autosleep. */
const defaultAutosleep = (body: CreateMachineBody): number =>
  body.ephemeral === true || body.inactivity_timeout_ms !== undefined ? 0 : createDefaults.autosleepSeconds;

const named = (fields: Record<string, unknown>, names: readonly string[]): string[] =>
  names.filter((name) => fields[name] !== undefined && fields[name] !== null);

/** Reads one part by its own dialect; what is wrong with it is found at its place in the whole body. */
function within<T>(part: "dedalus" | "nullspace", found: Violation[], read: () => T): T | undefined {
  try {
    return read();
  } catch (error) {
    const violations = violationsIn(error);
    if (!violations) throw error;
    found.push(
      ...violations.map((one) => ({ ...one, location: one.location.replace(/^body/, `body.${part}`) })),
    );
    return undefined;
  }
}

function violationsIn(error: unknown): Violation[] | undefined {
  if (error instanceof ApiError) return (error.body as { errors?: Violation[] }).errors;
  return error instanceof WireError
    ? (error.options.details?.["errors"] as Violation[] | undefined)
    : undefined;
}
