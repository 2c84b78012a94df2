/** What `why` prints. Pure. */
import { plainJson, plainText } from "./plain-text";
import { explain } from "./sentence";
import type { Situation } from "./situation";
import { timelineOf } from "./timeline";
import { stamp } from "./times";

export interface WhyOptions {
  /** Milliseconds before now. */
  sinceMs: number;
  /** Never shown. */
  secrets: readonly string[];
}

/** The last line is the sentence. */
export function whyText(situation: Situation, { sinceMs, secrets }: WhyOptions): string {
  const { nowMs, backend, events, missing } = situation;
  const { entries, earlier, untimed } = timelineOf(situation, nowMs - sinceMs);
  const lines = [
    ...(earlier > 0 ? [`${String(earlier)} earlier; --since 30d shows more`] : []),
    ...entries.map(({ at, source, what }) => `${stamp(at)}  ${source.padEnd(9)}  ${what}`),
    ...untimed.map((what) => `${"without a time".padEnd(19)}  ${"command".padEnd(9)}  ${what}`),
    `${stamp(new Date(nowMs).toISOString())}  ${"now".padEnd(9)}  ${nowText(situation)}`,
    ...(events === undefined && situation.sight.kind !== "none"
      ? [
          `The backend "${backend}" tells no lifecycle events: who did what, and earlier phases, cannot be known.`,
        ]
      : []),
    ...missing.map((line) => `Note: ${line}`),
  ];
  const sentence = explain(situation).sentence;
  return `${[...lines, "", sentence].map((line) => plainText(line, secrets)).join("\n")}\n`;
}

function nowText({ sight }: Situation): string {
  switch (sight.kind) {
    case "there": {
      const { phase, desiredState, reason, lastError, retryable, revision } = sight.machine;
      const facts = [
        ...(reason === "" || reason === phase ? [] : [`reason ${reason}`]),
        ...(lastError === undefined ? [] : [`last_error ${lastError}`]),
        ...(phase === "failed" ? [`retryable: ${retryable ? "yes" : "no"}`] : []),
        ...(revision === "" ? [] : [`revision ${revision}`]),
      ];
      return `${phase}, desired ${desiredState}${facts.length > 0 ? `, ${facts.join(", ")}` : ""}`;
    }
    case "gone":
      return "the service has no such machine";
    case "none":
      return "no machine is known";
    case "unasked":
      return "the service could not be asked";
  }
}

/** The same as plain JSON. */
export function whyJson(situation: Situation, { sinceMs, secrets }: WhyOptions): unknown {
  const { name, id, backend, entry, sight, nowMs, missing } = situation;
  const { entries, earlier, untimed } = timelineOf(situation, nowMs - sinceMs);
  const { code, sentence } = explain(situation);
  const machine = sight.kind === "there" ? sight.machine : undefined;
  return plainJson(
    {
      name,
      ...(id === undefined ? {} : { id }),
      ...(entry === undefined ? {} : { urn: entry.urn }),
      backend,
      at: new Date(nowMs).toISOString(),
      sight: sight.kind,
      ...(machine === undefined
        ? {}
        : {
            status: {
              phase: machine.phase,
              desiredState: machine.desiredState,
              reason: machine.reason,
              lastError: machine.lastError ?? null,
              retryable: machine.retryable,
              revision: machine.revision,
            },
          }),
      timeline: entries,
      earlier,
      commandsWithoutTime: untimed,
      hasHistory: situation.events !== undefined,
      missing,
      code,
      sentence,
    },
    secrets,
  );
}
