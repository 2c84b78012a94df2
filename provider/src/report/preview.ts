/** Reads what `pulumi preview --json` prints. Secrets are gone from what it returns; see mask.ts. Pure. */
import { z } from "zod";
import { partsOf } from "../controlplane/tags";
import { webhookType } from "../loader";
import { maskedProperties } from "./mask";
import { withoutSpokenSecrets } from "./spoken-secrets";

/** The text is no preview; says what it is instead, and what to do. */
export class PreviewFormatError extends Error {
  override readonly name = "PreviewFormatError";
}

export type Properties = Record<string, unknown>;

export interface ResourceState {
  id?: string;
  inputs: Properties;
  outputs: Properties;
  custom: boolean;
  external: boolean;
  retainOnDelete: boolean;
  /** What was wrong when the resource was last deployed. */
  initErrors: string[];
  parent?: string;
}

export interface Step {
  op: string;
  urn: string;
  oldState?: ResourceState;
  newState?: ResourceState;
  replaceReasons: string[];
}

export interface Diagnostic {
  severity: "error" | "warning";
  message: string;
  urn?: string;
}

export interface Preview {
  steps: Step[];
  /** Errors and warnings; what the program printed is left out. */
  diagnostics: Diagnostic[];
  /** The stack's configuration; Pulumi has masked its secrets. */
  config: Record<string, string>;
  /** False when resources that do not change are not among the steps. */
  complete: boolean;
}

const properties = z.record(z.string(), z.unknown()).nullish();
const state = z.looseObject({
  type: z.string().nullish(),
  id: z.string().nullish(),
  inputs: properties,
  outputs: properties,
  custom: z.boolean().nullish(),
  external: z.boolean().nullish(),
  retainOnDelete: z.boolean().nullish(),
  initErrors: z.array(z.string()).nullish(),
  parent: z.string().nullish(),
  additionalSecretOutputs: z.array(z.string()).nullish(),
});
const step = z.looseObject({
  op: z.string(),
  urn: z.string(),
  oldState: state.nullish(),
  newState: state.nullish(),
  replaceReasons: z.array(z.string()).nullish(),
});
const diagnostic = z.looseObject({
  urn: z.string().nullish(),
  message: z.string(),
  severity: z.string().nullish(),
});
const digest = z.looseObject({
  config: z.record(z.string(), z.unknown()).nullish(),
  steps: z.array(step).nullish(),
  diagnostics: z.array(diagnostic).nullish(),
  changeSummary: z.record(z.string(), z.number()).nullish(),
});

const how = "make it with: pulumi preview --json --show-sames";

/** @throws PreviewFormatError */
export function readPreview(text: string): Preview {
  const parsed = digest.safeParse(parseJson(text));
  if (!parsed.success) {
    const issue = parsed.error.issues[0];
    const where = issue && issue.path.length > 0 ? ` at ${issue.path.map(String).join(".")}` : "";
    throw new PreviewFormatError(`this JSON is not the preview of a stack${where}; ${how}`);
  }
  const { steps, diagnostics, config, changeSummary } = parsed.data;
  if (!steps && !diagnostics && !changeSummary) {
    throw new PreviewFormatError(`this JSON is not the preview of a stack: it has no steps; ${how}`);
  }
  const shown = (steps ?? []).filter(({ op }) => op === "same").length;
  return {
    steps: (steps ?? []).map(stepOf),
    diagnostics: diagnosticsOf(diagnostics ?? []),
    config: Object.fromEntries(
      Object.entries(config ?? {}).filter((entry): entry is [string, string] => typeof entry[1] === "string"),
    ),
    complete: shown >= (changeSummary?.same ?? 0),
  };
}

function parseJson(text: string): unknown {
  const trimmed = text.replace(/^\uFEFF/, "").trim();
  if (trimmed === "") throw new PreviewFormatError(`there is no preview: the text is empty; ${how}`);
  for (const candidate of [trimmed, withoutBanner(trimmed)]) {
    try {
      return JSON.parse(candidate);
    } catch {
      // The next candidate, then the message below.
    }
  }
  if (/^\{"sequence":\d/.test(trimmed)) {
    throw new PreviewFormatError(
      `this is a stream of events: unset PULUMI_ENABLE_STREAMING_JSON_PREVIEW, and ${how}`,
    );
  }
  throw new PreviewFormatError(`this is not JSON; ${how}`);
}

/** `npm run` and the like print lines around what the command prints. */
function withoutBanner(text: string): string {
  const start = text.search(/^\{\r?$/m);
  const end = text.lastIndexOf("\n}");
  return start >= 0 && end > start ? text.slice(start, end + 2) : text;
}

function stepOf({ op, urn, oldState, newState, replaceReasons }: z.output<typeof step>): Step {
  return {
    op,
    urn,
    ...(oldState ? { oldState: stateOf(urn, oldState) } : {}),
    ...(newState ? { newState: stateOf(urn, newState) } : {}),
    replaceReasons: (replaceReasons ?? []).filter((name) => !name.startsWith("__")),
  };
}

/** Secret in any case, should a CLI ever print it in the clear. */
const alwaysSecret: Record<string, readonly string[]> = { [webhookType]: ["secret"] };

function stateOf(urn: string, raw: z.output<typeof state>): ResourceState {
  const secrets = [...(raw.additionalSecretOutputs ?? []), ...(alwaysSecret[partsOf(urn).type] ?? [])];
  return {
    ...(raw.id ? { id: raw.id } : {}),
    inputs: maskedProperties(raw.inputs ?? {}, secrets),
    outputs: maskedProperties(raw.outputs ?? {}, secrets),
    custom: raw.custom ?? true,
    external: raw.external ?? false,
    retainOnDelete: raw.retainOnDelete ?? false,
    initErrors: raw.initErrors ?? [],
    ...(raw.parent ? { parent: raw.parent } : {}),
  };
}

/** Of a terminal. */
const colours = /\u001b\[[0-9;]*[A-Za-z]/g;

function diagnosticsOf(all: readonly z.output<typeof diagnostic>[]): Diagnostic[] {
  const messages = withoutSpokenSecrets(all.map(({ message }) => message.replace(colours, "").trim()));
  return all.flatMap(({ urn, severity }, index) => {
    if (severity !== "error" && severity !== "warning") return [];
    return [{ severity, message: messages[index] ?? "", ...(urn ? { urn } : {}) }];
  });
}
