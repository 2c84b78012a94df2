/** What `--json` prints; see docs/ci.md. Pure. */
import { summaryOf } from "./headline";
import type { Report, ResourceReport } from "./report";
import type { PropertyChange } from "./property-diff";
import { withoutUnknowns } from "./value-text";
import { plain } from "./words";

/** Plain JSON; secrets are "[secret]", and what is not known yet is "[known after apply]". */
export function jsonOf(report: Report): object {
  const { version, project, stack, backend, marker, outcome, drift, others, unchanged, totals, diagnostics } =
    report;
  return {
    version,
    project,
    stack,
    backend,
    marker,
    outcome,
    headline: summaryOf(report),
    resources: report.resources.map(resourceJson),
    companions: report.companions.map(resourceJson),
    others,
    unchanged,
    drift: drift.map((found) => ({ ...found, changes: found.changes.map(changeJson) })),
    ...(totals ? { totals } : {}),
    diagnostics,
  };
}

function resourceJson({ actions, dangers, diff, ...rest }: ResourceReport): object {
  return {
    ...rest,
    actions: actions.map(plain),
    dangers: dangers.map(({ loss, text }) => ({ loss, text: plain(text) })),
    diff: diff.map(changeJson),
  };
}

const changeJson = ({ path, ...values }: PropertyChange): object => ({
  path,
  ...Object.fromEntries(Object.entries(values).map(([side, value]) => [side, withoutUnknowns(value)])),
});
