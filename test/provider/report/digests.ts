/** Previews: recorded ones, and ones made up of what matters for a test. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { readPreview } from "../../../provider/src/report/preview";
import { reportOf, type Report } from "../../../provider/src/report/report";
import type { Backend } from "../../../provider/src/controlplane/capabilities";

export const recordings = join(__dirname, "recordings");

export const recorded = (name: string): string => readFileSync(join(recordings, `${name}.json`), "utf8");

export type Properties = Record<string, unknown>;

export interface MadeStep {
  op: string;
  name?: string;
  type?: string;
  old?: Properties | undefined;
  new?: Properties | undefined;
  oldState?: Properties;
  newState?: Properties;
  replaceReasons?: string[];
}

export const machineType = "pulumi-nodejs:dynamic/machines:Machine";

/** A step as Pulumi writes it; `old` and `new` are the inputs, and the outputs repeat them. */
export function madeStep(
  { op, name = "web", type = machineType, ...states }: MadeStep,
  place = "dev::shop",
): object {
  const urn = `urn:pulumi:${place}::${type}::${name}`;
  const state = (inputs: Properties, more: Properties = {}): object => ({
    type,
    urn,
    custom: true,
    id: "dm-1",
    inputs,
    outputs: inputs,
    ...more,
  });
  return {
    op,
    urn,
    ...(states.old ? { oldState: state(states.old, states.oldState) } : {}),
    ...(states.new ? { newState: { ...state(states.new, states.newState), outputs: {} } } : {}),
    ...(states.replaceReasons ? { replaceReasons: states.replaceReasons } : {}),
    detailedDiff: null,
  };
}

export const digestOf = (steps: readonly object[], more: object = {}): string =>
  JSON.stringify({ steps, duration: 1, changeSummary: {}, ...more });

export const reportFrom = (text: string, backend: Backend = "local"): Report =>
  reportOf(readPreview(text), { backend });

export const made = (step: MadeStep, backend: Backend = "local"): Report =>
  reportFrom(digestOf([madeStep(step)]), backend);
