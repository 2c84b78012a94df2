/** Finds what is wrong with a stack. Changes nothing. */
import { MachinesError } from "@pulumi-machines/sdk";
import { partsOf } from "../controlplane/tags";
import { RefusedError } from "../controlplane/port";
import { messageOf } from "../failure-report";
import { compare } from "./compare";
import { isFault, type Finding } from "./finding";
import { versionsOf } from "./installed";
import { surveyOf, type Names } from "./look";
import type { OpenedStack, StackOptions } from "./open-stack";
import { projectOf } from "./project";
import type { Survey } from "./survey";
import { versionFindings } from "./versions";

export interface Diagnosis {
  backend: string;
  findings: Finding[];
  /** What could not be looked at, and why: the findings may not be all. */
  incomplete: string[];
}

export async function diagnose(
  opened: OpenedStack,
  options: StackOptions,
  { signal, env }: { signal: AbortSignal; env: NodeJS.ProcessEnv },
): Promise<Diagnosis> {
  const { cli, state, plane, settings } = opened;
  const { cwd } = options;
  const byEndpointFile = settings.backend === "local" && settings.endpoint === undefined;
  const versions = versionFindings(await versionsOf({ cli, state, cwd, env, byEndpointFile }));
  const diagnosis: Diagnosis = { backend: plane.backend, findings: versions, incomplete: [] };
  let survey: Survey;
  try {
    survey = await surveyOf({ ...opened, signal }, await namesOf(opened, cwd));
  } catch (error) {
    const refused = keyRefusal(error, opened);
    if (refused) diagnosis.findings.push(refused);
    else diagnosis.incomplete.push(`the backend "${plane.backend}" could not be asked: ${messageOf(error)}`);
    return diagnosis;
  }
  diagnosis.findings = [...compare(survey), ...versions];
  for (const { name, id } of state.entries) {
    const look = survey.looks.get(id);
    if (look?.kind === "unasked")
      diagnosis.incomplete.push(`"${name}" (${id}) could not be looked at: ${look.why}`);
  }
  return diagnosis;
}

async function namesOf({ state, cli }: OpenedStack, cwd: string): Promise<Names | undefined> {
  const [urn] = state.urns;
  if (urn !== undefined) return partsOf(urn);
  const { name } = projectOf(cwd);
  return name === undefined ? undefined : { project: name, stack: await cli.stackName() };
}

function keyRefusal(error: unknown, { keyOrigin, plane }: OpenedStack): Finding | undefined {
  const cause = error instanceof RefusedError ? error.cause : undefined;
  const status = cause instanceof MachinesError ? cause.status : undefined;
  if (status !== 401 && status !== 403) return undefined;
  return {
    kind: "key_refused",
    severity: "fault",
    subject: "key",
    what: `the backend "${plane.backend}" refuses the key (${String(status)}): ${messageOf(error)}`,
    next: `the key comes from ${keyOrigin}: it is wrong or expired there; nothing else could be compared`,
  };
}

export type DoctorExit = 0 | 1 | 2;

/** 1 where it could not look at everything, 2 with faults, else 0. */
export const exitCodeOf = ({ findings, incomplete }: Diagnosis): DoctorExit =>
  incomplete.length > 0 ? 1 : findings.some(isFault) ? 2 : 0;
