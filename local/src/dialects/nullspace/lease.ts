/** What ends a machine by itself, as a create says it, and the contradictions in it. */
import type { CreateMachineBody } from "@pulumi-machines/sdk/nullspace/wire";
import type { Lease } from "../../engine/record";
import type { Violation } from "../../http-errors";
import { violation } from "../../http-violations";

/** The vendor's, where a create says nothing. */
const defaultTimeoutMs = 300_000;
/** Ten years: a date that every store and client can write. */
export const maxLeaseMs = 10 * 365 * 86_400_000;

export function leaseViolations(fields: Record<string, unknown>): Violation[] {
  const { on_timeout: onTimeout } = objectIn(fields["lifecycle"]);
  const stated = fields["timeout_action"];
  const spoken = onTimeout === "pause" ? "hibernate" : onTimeout;
  const action = stated ?? spoken ?? "destroy";
  const contradicts = (location: string, message: string) => [violation(`body.${location}`, message)];
  return [
    ...["timeout_ms", "inactivity_timeout_ms", "auto_delete_after_ms"].flatMap((name) =>
      spanViolations(name, fields[name]),
    ),
    ...(isGiven(stated) && isGiven(spoken) && stated !== spoken
      ? contradicts("lifecycle.on_timeout", `contradicts timeout_action: ${text(stated)}`)
      : []),
    ...(fields["ephemeral"] === true && action === "hibernate"
      ? contradicts("ephemeral", "an ephemeral machine is destroyed at its timeout; it cannot hibernate")
      : []),
    ...(fields["auto_resume"] === true && fields["ephemeral"] === true
      ? contradicts(
          "auto_resume",
          "an ephemeral machine is never paused by its timeout, so that nothing resumes it",
        )
      : fields["auto_resume"] === true && action !== "hibernate"
        ? contradicts("auto_resume", 'needs timeout_action "hibernate" (or lifecycle.on_timeout "pause")')
        : []),
  ];
}

export const spanViolations = (name: string, value: unknown): Violation[] =>
  typeof value === "number" && value > maxLeaseMs
    ? [violation(`body.${name}`, `must be at most ${String(maxLeaseMs)} ms, ten years`)]
    : [];

export const leaseOf = (body: CreateMachineBody): Partial<Lease> => ({
  timeoutMs: body.timeout_ms ?? defaultTimeoutMs,
  timeoutAction: body.timeout_action ?? (body.lifecycle?.on_timeout === "pause" ? "hibernate" : "destroy"),
  inactivityTimeoutMs: body.inactivity_timeout_ms ?? null,
  autoDeleteAfterMs: body.auto_delete_after_ms ?? null,
  ephemeral: body.ephemeral ?? false,
  autoResume: body.auto_resume ?? false,
});

const isGiven = (value: unknown): boolean => value !== undefined && value !== null;
const text = (value: unknown): string => (typeof value === "string" ? value : "");
const objectIn = (value: unknown): Record<string, unknown> =>
  typeof value === "object" && value !== null ? (value as Record<string, unknown>) : {};
