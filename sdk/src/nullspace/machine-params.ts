/** What a machine is made of and how it is asked for, in our names; turned into the wire's here, once. Pure. */
import { UsageError } from "../errors";
import { given } from "./calls";
import type { TimeoutAction } from "./rules";

export interface EgressPolicy {
  mode: "allow_all" | "deny_all" | "custom";
  allowCidrs?: string[] | undefined;
  denyCidrs?: string[] | undefined;
  /** One of `kbitPerSec` and `pps`. */
  rateLimit?:
    { kbitPerSec?: number | undefined; pps?: number | undefined; burst?: number | undefined } | undefined;
}

/** What both ways of making a machine take. */
export interface MachinePolicies {
  /** Life of a lease in milliseconds; the service's default is 300000. At its end `timeoutAction` is done. */
  timeoutMs?: number | undefined;
  /** Default `destroy`. */
  timeoutAction?: TimeoutAction | undefined;
  /** The vendor's other word for `timeoutAction`; `pause` is `hibernate`. */
  lifecycle?: { onTimeout: "destroy" | "pause" } | undefined;
  /** Idle time after which `timeoutAction` is done, in milliseconds; default off. */
  inactivityTimeoutMs?: number | undefined;
  /** Time in `paused` after which the machine is destroyed, in milliseconds; default off. */
  autoDeleteAfterMs?: number | undefined;
  /** Forces `destroy`, and excludes `autoResume`; default false. */
  ephemeral?: boolean | undefined;
  /** Commands, files, terminals and proxy traffic wake a paused machine; default false. */
  autoResume?: boolean | undefined;
  /** Kept as it is; lists select by it. */
  metadata?: Record<string, unknown> | undefined;
  network?:
    | {
        /** Default true; false asks for a token on preview URLs. */
        allowPublicTraffic?: boolean | undefined;
        maskRequestHost?: string | undefined;
        egress?: EgressPolicy | undefined;
        denyOut?: string[] | undefined;
        allowOut?: string[] | undefined;
      }
    | undefined;
  volumes?:
    | {
        ref: string;
        mountPath: string;
        subpath?: string | undefined;
        /** Default false. */
        readOnly?: boolean | undefined;
      }[]
    | undefined;
  warmPool?:
    | {
        id?: string | undefined;
        mode?: "prefer" | "require" | "bypass" | undefined;
        /** Milliseconds. */
        waitMs?: number | undefined;
      }
    | undefined;
}

/** A new machine of a template. What is not given, the service decides. */
export interface CreateFromTemplateParams extends MachinePolicies {
  snapshotId?: undefined;
  /** Name or image; the service's default is `base`. */
  template?: string | undefined;
  /** Whole; the service's default is 1. */
  vcpus?: number | undefined;
  /** MiB; the service's default is 256 (2048 for some templates). */
  memoryMb?: number | undefined;
  /** MiB, at least; default what the template needs. */
  diskMb?: number | undefined;
  envs?: Record<string, string> | undefined;
  /** Default true. */
  internetAccess?: boolean | undefined;
  /** Absolute; default the template's. */
  cwd?: string | undefined;
  /** Only of the desktop template. */
  desktop?:
    | {
        resolution?: { width: number; height: number } | undefined;
        dpi?: number | undefined;
        /** Such as `:0`. */
        display?: string | undefined;
      }
    | undefined;
}

/** A new machine of a snapshot, which brings sizes, template, environment, files and the egress policy. */
export interface CreateFromSnapshotParams extends MachinePolicies {
  snapshotId: string;
}

export type CreateMachineParams = CreateFromTemplateParams | CreateFromSnapshotParams;

const ofTemplate = [
  "template",
  "vcpus",
  "memoryMb",
  "diskMb",
  "envs",
  "internetAccess",
  "cwd",
  "desktop",
] as const;

/**
 * The body of a create.
 * @throws UsageError `invalid_argument` for what a snapshot already decides
 */
export function createBody(params: CreateMachineParams): Record<string, unknown> {
  if (params.snapshotId !== undefined) refuseOverrides(params);
  const cold: CreateFromTemplateParams = params.snapshotId === undefined ? params : {};
  return given({
    snapshot_id: params.snapshotId,
    template: cold.template,
    vcpus: cold.vcpus,
    memory_mb: cold.memoryMb,
    disk_mb: cold.diskMb,
    envs: cold.envs,
    internet_access: cold.internetAccess,
    cwd: cold.cwd,
    desktop: cold.desktop && given(cold.desktop),
    timeout_ms: params.timeoutMs,
    timeout_action: params.timeoutAction,
    lifecycle: params.lifecycle && { on_timeout: params.lifecycle.onTimeout },
    inactivity_timeout_ms: params.inactivityTimeoutMs,
    auto_delete_after_ms: params.autoDeleteAfterMs,
    ephemeral: params.ephemeral,
    auto_resume: params.autoResume,
    metadata: params.metadata,
    network: params.network && networkBody(params.network),
    volumes: params.volumes?.map((volume) =>
      given({
        ref: volume.ref,
        mount_path: volume.mountPath,
        subpath: volume.subpath,
        read_only: volume.readOnly,
      }),
    ),
    warm_pool:
      params.warmPool &&
      given({ id: params.warmPool.id, mode: params.warmPool.mode, wait_ms: params.warmPool.waitMs }),
  });
}

function refuseOverrides(params: CreateFromSnapshotParams): void {
  // From a program without types they may be there all the same.
  const cold = params as unknown as Record<string, unknown>;
  const named: string[] = ofTemplate.filter((name) => cold[name] !== undefined);
  const { egress, denyOut, allowOut } = params.network ?? {};
  for (const [name, value] of Object.entries({ egress, denyOut, allowOut })) {
    if (value !== undefined) named.push(`network.${name}`);
  }
  if (named.length === 0) return;
  throw new UsageError({
    message:
      `create a machine: the snapshot decides ${named.join(", ")}; leave ${named.length > 1 ? "them" : "it"} out ` +
      "or create from a template",
    code: "invalid_argument",
  });
}

const networkBody = (network: NonNullable<MachinePolicies["network"]>): Record<string, unknown> =>
  given({
    allow_public_traffic: network.allowPublicTraffic,
    mask_request_host: network.maskRequestHost,
    egress: network.egress && egressBody(network.egress),
    deny_out: network.denyOut,
    allow_out: network.allowOut,
  });

export const egressBody = ({
  mode,
  allowCidrs,
  denyCidrs,
  rateLimit,
}: EgressPolicy): Record<string, unknown> =>
  given({
    mode,
    allow_cidrs: allowCidrs,
    deny_cidrs: denyCidrs,
    rate_limit:
      rateLimit && given({ kbit_per_sec: rateLimit.kbitPerSec, pps: rateLimit.pps, burst: rateLimit.burst }),
  });
