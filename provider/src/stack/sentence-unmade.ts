/** Why there is no machine at all. Pure. */
import { noHistory } from "./cause-words";
import type { Explanation } from "./sentence";
import type { Situation } from "./situation";

export function unmade({ name, pending, backend, events, missing }: Situation): Explanation {
  const unsure =
    events === undefined
      ? ` (${noHistory(backend)} and no tags: if a machine was made all the same, the next "pulumi up" finds it by its key)`
      : "";
  if (pending !== undefined) {
    return {
      code: "never_made",
      sentence:
        `${name} was never made: the state has a pending "${pending.type}" of it, so a "pulumi up" was interrupted there or still ` +
        `runs, and no machine of it is known${unsure}; the next "pulumi up" makes it.`,
    };
  }
  const why = missing.length > 0 ? `, as far as could be seen: ${missing.join("; ")}` : "";
  return {
    code: "never_made",
    sentence: `${name} was never made, or is forgotten: neither the state nor the backend has a machine of it${why}; "pulumi up" makes it.`,
  };
}
