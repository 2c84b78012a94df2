/**
 * The fault script: rules by which a user rehearses a failing deploy. Pure matching; the engine, the HTTP server and
 * the streams ask it what to do. Documented in docs/faults.md.
 */
import { z } from "zod";

const where = {
  /** Only machines with this id (with or without a dialect's prefix). */
  machine: z.string().optional(),
  /** Only machines of this size, such as { "memoryMiB": 512 }. */
  size: z
    .strictObject({
      vcpu: z.number().optional(),
      memoryMiB: z.number().optional(),
      storageGiB: z.number().optional(),
    })
    .optional(),
  /** How often the rule applies; without it, always. */
  times: z.int().positive().optional(),
  /** How many matches pass before the rule applies. */
  after: z.int().nonnegative().default(0),
};

const failure = z.strictObject({
  reason: z.string().min(1),
  lastError: z.string().min(1),
  retryable: z.boolean(),
});
export type ScriptedFailure = z.infer<typeof failure>;

export const transitionNames = ["place", "start", "stop", "destroy", "resize"] as const;
export type TransitionName = (typeof transitionNames)[number];

const transitionRule = z.strictObject({
  on: z.enum(transitionNames),
  ...where,
  /** Wait this long first. */
  stallMs: z.int().nonnegative().max(3_600_000).optional(),
  fail: failure.optional(),
});

const streamRule = z.strictObject({
  on: z.literal("stream"),
  ...where,
  /** Close the connection after this many events ("drop"), or in the middle of the next one ("truncate"). */
  do: z.enum(["drop", "truncate", "silence"]),
  afterEvents: z.int().nonnegative().default(0),
});

const requestRule = z.strictObject({
  on: z.literal("request"),
  method: z.string().optional(),
  /** Matches the start of the path below the dialect, such as "/v1/machines". */
  path: z.string().optional(),
  times: where.times,
  after: where.after,
  delayMs: z.int().nonnegative().max(600_000).optional(),
  /** Answer with this status instead of doing what was asked. */
  refuse: z
    .strictObject({
      status: z.int().min(400).max(599),
      errorCode: z.string().default("DEPENDENCY_UNAVAILABLE"),
      message: z.string().default("refused by the fault script"),
      retryable: z.boolean().default(true),
      retryAfterMs: z.int().nonnegative().optional(),
    })
    .optional(),
  /** Do what was asked, then close the connection without the answer. */
  loseAnswer: z.boolean().default(false),
});
export type RequestRule = z.infer<typeof requestRule>;
export type StreamRule = z.infer<typeof streamRule>;

export const faultScript = z.strictObject({
  rules: z.array(z.discriminatedUnion("on", [transitionRule, streamRule, requestRule])),
});
export type FaultScript = z.infer<typeof faultScript>;
/** As it is written: with defaults left out. */
export type FaultScriptInput = z.input<typeof faultScript>;
type Rule = FaultScript["rules"][number];

export interface MachineFacts {
  id: string;
  vcpu: number;
  memoryMiB: number;
  storageGiB: number;
}

/** The rules in force and how often each has matched. */
export class Faults {
  private script: FaultScript = { rules: [] };
  private matches = new Map<Rule, number>();

  constructor(script?: FaultScript) {
    if (script) this.replace(script);
  }

  /** Puts other rules in force; their counts start at zero. */
  replace(script: FaultScript): void {
    this.script = script;
    this.matches = new Map();
  }

  current(): FaultScript {
    return this.script;
  }

  forTransition(
    on: TransitionName,
    machine: MachineFacts,
  ): { stallMs: number; fail?: ScriptedFailure } | undefined {
    const rule = this.take((r) => r.on === on && matchesMachine(r, machine));
    if (!rule || !("stallMs" in rule || "fail" in rule)) return undefined;
    return { stallMs: rule.stallMs ?? 0, ...(rule.fail ? { fail: rule.fail } : {}) };
  }

  forStream(machine: MachineFacts): StreamRule | undefined {
    return this.take((r): r is StreamRule => r.on === "stream" && matchesMachine(r, machine));
  }

  forRequest(method: string, path: string): RequestRule | undefined {
    return this.take(
      (r): r is RequestRule =>
        r.on === "request" &&
        (r.method === undefined || r.method.toUpperCase() === method) &&
        (r.path === undefined || path.startsWith(r.path)),
    );
  }

  private take<R extends Rule>(
    matches: ((rule: Rule) => rule is R) | ((rule: Rule) => boolean),
  ): R | undefined {
    for (const rule of this.script.rules) {
      if (!matches(rule)) continue;
      const seen = this.matches.get(rule) ?? 0;
      this.matches.set(rule, seen + 1);
      if (seen < rule.after) continue;
      if (rule.times !== undefined && seen >= rule.after + rule.times) continue;
      return rule as R;
    }
    return undefined;
  }
}

const plainId = (id: string): string => id.replace(/^(dm-|mch_)/, "");

function matchesMachine(rule: Exclude<Rule, RequestRule>, machine: MachineFacts): boolean {
  if (rule.machine !== undefined && plainId(rule.machine) !== machine.id) return false;
  const size = rule.size ?? {};
  return (
    (size.vcpu === undefined || size.vcpu === machine.vcpu) &&
    (size.memoryMiB === undefined || size.memoryMiB === machine.memoryMiB) &&
    (size.storageGiB === undefined || size.storageGiB === machine.storageGiB)
  );
}
