/** Refuses options that cannot be used, all of them at once, before anything is started. */
import { z } from "zod";
import { faultScript } from "./faults";

/** `message` names every option that is wrong, and why. */
export class SettingsError extends Error {
  override readonly name = "SettingsError";
}

const maxTimerMs = 2_147_483_647;
const range = z.strictObject({ min: z.number().positive(), max: z.number().positive() });
const name = z.string().min(1).optional();

const options = z.strictObject({
  stateDir: name,
  host: name,
  port: z.int().min(0).max(65_535).optional(),
  apiKey: z
    .string()
    .regex(/^[\x21-\x7e]{8,512}$/, "use 8 to 512 visible ASCII characters without spaces")
    .optional(),
  organizationId: name,
  driver: z
    .union([z.enum(["auto", "sandbox", "process", "null"]), z.looseObject({ name: z.string() })], {
      error: "use auto, sandbox, process or null",
    })
    .optional(),
  databaseUrl: z
    .string()
    .regex(/^postgres(ql)?:\/\//, "use a PostgreSQL URL, postgres://USER@HOST:PORT/DATABASE")
    .optional(),
  faults: faultScript.optional(),
  capacity: z
    .strictObject({
      machineVcpu: z.number().positive().optional(),
      vcpu: z.number().positive().optional(),
      memoryMiB: z.number().positive().optional(),
      placementTimeoutMs: z.number().nonnegative().max(maxTimerMs).optional(),
    })
    .optional(),
  limits: z
    .strictObject({ vcpu: range.optional(), memoryMiB: range.optional(), storageGiB: range.optional() })
    .optional(),
  sleepHoldWindowMs: z.number().nonnegative().optional(),
  flatPhase: z.boolean().optional(),
  heartbeatMs: z.int().positive().max(maxTimerMs).optional(),
  streamBacklogBytes: z.int().positive().optional(),
  allowHttpWebhooks: z.boolean().optional(),
  eventRetentionMs: z.number().positive().optional(),
  maxSockets: z.int().positive().optional(),
  pingMs: z.int().positive().max(maxTimerMs).optional(),
  warn: z.unknown().optional(),
});

/** @throws SettingsError; it never repeats a value, which may be a secret. */
export function checkOptions(given: object): void {
  const checked = options.safeParse(given);
  if (checked.success) return;
  const wrong = checked.error.issues.map(({ path, message }) =>
    path.length > 0 ? `${path.join(".")}: ${message}` : message,
  );
  throw new SettingsError(`the control plane cannot be started with these options: ${wrong.join("; ")}`);
}
