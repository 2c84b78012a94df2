/** Small answers about a machine: lease, metrics, host, egress. */
import { z } from "zod";
import type { Open } from "../open";
import { given } from "./calls";
import type { EgressPolicy } from "./machine-params";
import type { MachineState, TimeoutAction } from "./rules";

const text = z.string();
const optionalText = z.string().nullish();

/** What is left of a machine's time, as `setTimeout` answers it. */
export interface Lease {
  /** Of the whole lease, in milliseconds. */
  timeoutMs: number;
  timeoutAction: Open<TimeoutAction>;
  /** ISO 8601. */
  timeoutAt?: string;
  /** Milliseconds, when the service answered. */
  remainingMs?: number;
}

export const leaseAnswer = z
  .looseObject({
    timeout_ms: z.number(),
    timeout_action: text,
    timeout_at: optionalText,
    remaining_ms: z.number().nullish(),
  })
  .transform((wire): Lease => ({
    timeoutMs: wire.timeout_ms,
    timeoutAction: wire.timeout_action,
    ...(wire.timeout_at ? { timeoutAt: wire.timeout_at } : {}),
    ...(typeof wire.remaining_ms === "number" ? { remainingMs: wire.remaining_ms } : {}),
  }));

/** One measurement. */
export interface MachineMetrics {
  /** ISO 8601. */
  timestamp: string;
  cpuPercent: number;
  cpuCount: number;
  memUsedBytes: number;
  memTotalBytes: number;
  diskUsedBytes: number;
  diskTotalBytes: number;
  networkRxBytes: number;
  networkTxBytes: number;
}

export const measurementAnswer = z
  .looseObject({
    timestamp: text,
    cpu_percent: z.number(),
    cpu_count: z.number(),
    mem_used_bytes: z.number(),
    mem_total_bytes: z.number(),
    disk_used_bytes: z.number(),
    disk_total_bytes: z.number(),
    network_rx_bytes: z.number(),
    network_tx_bytes: z.number(),
  })
  .transform((wire): MachineMetrics => ({
    timestamp: wire.timestamp,
    cpuPercent: wire.cpu_percent,
    cpuCount: wire.cpu_count,
    memUsedBytes: wire.mem_used_bytes,
    memTotalBytes: wire.mem_total_bytes,
    diskUsedBytes: wire.disk_used_bytes,
    diskTotalBytes: wire.disk_total_bytes,
    networkRxBytes: wire.network_rx_bytes,
    networkTxBytes: wire.network_tx_bytes,
  }));

export const metricsAnswer = z.array(measurementAnswer);

/** Where a port of a machine is reached. */
export interface MachineHost {
  host: string;
  url?: string;
  websocketUrl?: string;
  /** ISO 8601. */
  accessTokenExpiresAt?: string;
  accessTokenTransport?: string;
}

export const hostAnswer = z
  .looseObject({
    host: text,
    url: optionalText,
    websocket_url: optionalText,
    access_token_expires_at: optionalText,
    access_token_transport: optionalText,
  })
  .transform((wire): MachineHost => ({
    host: wire.host,
    ...(given({
      url: wire.url ?? undefined,
      websocketUrl: wire.websocket_url ?? undefined,
      accessTokenExpiresAt: wire.access_token_expires_at ?? undefined,
      accessTokenTransport: wire.access_token_transport ?? undefined,
    }) as Partial<Record<"url" | "websocketUrl" | "accessTokenExpiresAt" | "accessTokenTransport", string>>),
  }));

const egressMember = z.looseObject({
  mode: text,
  allow_cidrs: z.array(text).nullish(),
  deny_cidrs: z.array(text).nullish(),
  rate_limit: z
    .looseObject({
      kbit_per_sec: z.number().nullish(),
      pps: z.number().nullish(),
      burst: z.number().nullish(),
    })
    .nullish(),
});

export const egressAnswer = z
  .looseObject({ machine_id: optionalText, egress: egressMember })
  .transform(({ egress }): EgressPolicy & { mode: Open<EgressPolicy["mode"]> } => ({
    mode: egress.mode as EgressPolicy["mode"],
    ...(egress.allow_cidrs ? { allowCidrs: egress.allow_cidrs } : {}),
    ...(egress.deny_cidrs ? { denyCidrs: egress.deny_cidrs } : {}),
    ...(egress.rate_limit
      ? {
          rateLimit: given({
            kbitPerSec: egress.rate_limit.kbit_per_sec ?? undefined,
            pps: egress.rate_limit.pps ?? undefined,
            burst: egress.rate_limit.burst ?? undefined,
          }),
        }
      : {}),
  }));

/** What is known of a machine that was destroyed. */
export interface DestroyedMachine {
  id: string;
  status: Open<MachineState>;
}

/** An empty body is tolerated: 200 says enough. */
export const destroyedAnswer = z
  .looseObject({ id: optionalText, status: optionalText })
  .optional()
  .transform((wire) => wire ?? {});
