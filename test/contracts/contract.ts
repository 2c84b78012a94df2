/** The published contracts, as the tests use them: the extracts, with what is added laid over them. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import Ajv2020, { type ValidateFunction } from "ajv/dist/2020";
import addFormats from "ajv-formats";

type Json = null | boolean | number | string | Json[] | { [name: string]: Json };

interface Addition {
  why: string;
  /** A JSON pointer; `-` appends to a list, and a parameter is found in its list by name. */
  at: string;
  set: Json;
}

interface Operation {
  operationId: string;
  parameters?: { name: string; in: string; required?: boolean }[];
  requestBody?: unknown;
  responses: Record<string, { content?: Record<string, { schema: Json }>; headers?: Record<string, Json> }>;
}

export interface Contract {
  paths: Record<string, Record<string, Operation>>;
  components: { schemas: Record<string, Json> };
  /** What an error is where the contract lists no such status for an operation; none: every status is listed. */
  errors?: string;
}

const load = (name: string): unknown => JSON.parse(readFileSync(join(__dirname, name), "utf8"));

function apply(document: Json, { at, set }: Addition): void {
  const steps = at
    .split("/")
    .slice(1)
    .map((step) => step.replaceAll("~1", "/").replaceAll("~0", "~"));
  const last = steps.pop() ?? "";
  let place: Json = document;
  for (const step of steps) {
    const next: Json | undefined = Array.isArray(place)
      ? place.find(
          (item) => typeof item === "object" && item !== null && "name" in item && item.name === step,
        )
      : (place as { [name: string]: Json })[step];
    if (next === undefined) throw new Error(`the extract has no ${step} of ${at}`);
    place = next;
  }
  if (Array.isArray(place)) place.push(set);
  else (place as { [name: string]: Json })[last] = set;
}

function extract(name: string, additions: string): Json {
  const document = load(name) as Json;
  for (const addition of load(additions) as Addition[]) apply(document, addition);
  return document;
}

/** The DCS contract of the generation that the control plane answers by default. */
export function dedalusContract(): Contract {
  return extract("dedalus.json", "dedalus-additions.json") as unknown as Contract;
}

/**
 * The Nullspace contract. It lists few of the errors that an operation can answer, so that any status of an error is taken
 * when its body is the contract's; and no object may have a member that it does not list.
 */
export function nullspaceContract(): Contract {
  const contract = extract("nullspace.json", "nullspace-additions.json") as unknown as Contract;
  const schemas = Object.entries(contract.components.schemas).map(([name, schema]) => [name, closed(schema)]);
  return {
    ...contract,
    components: { ...contract.components, schemas: Object.fromEntries(schemas) as Record<string, Json> },
    errors: "#/components/schemas/ErrorResponse",
  };
}

/** The same schema of an object, for which other members than its own are a violation. */
function closed(schema: Json): Json {
  const isOpen = typeof schema !== "object" || schema === null || Array.isArray(schema);
  if (isOpen || !("properties" in schema) || "additionalProperties" in schema) return schema;
  return { ...schema, additionalProperties: false };
}

const pointerStep = (step: string): string => step.replaceAll("~", "~0").replaceAll("/", "~1");

/** Validates answers against a contract; throws with every violation and the answer. */
export class ContractCheck {
  private readonly ajv = new Ajv2020({ strict: false, allErrors: true });
  private readonly compiled = new Map<string, ValidateFunction>();
  /** "GET /v1/machines 200" for every answer that was checked. */
  readonly seen = new Set<string>();

  constructor(readonly contract: Contract) {
    addFormats(this.ajv);
    // Numbers of 64 bits arrive as whole numbers of JavaScript.
    this.ajv.addFormat("int64", { type: "number", validate: Number.isInteger });
    this.ajv.addFormat("double", { type: "number", validate: Number.isFinite });
    this.ajv.addSchema(contract as object, "contract");
  }

  /** The operation that a path of a request (below the dialect) belongs to. */
  find(method: string, path: string): { template: string; operation: Operation } | undefined {
    for (const [template, operations] of Object.entries(this.contract.paths)) {
      const pattern = new RegExp(`^${template.replaceAll(/\{[^}]+\}/g, "[^/]+")}$`);
      const operation = operations[method.toLowerCase()];
      if (operation && pattern.test(path)) return { template, operation };
    }
    return undefined;
  }

  /** @throws when the answer is not one that the contract documents for the operation. */
  check(
    method: string,
    path: string,
    answer: { status: number; headers: Headers; body: string; data?: unknown },
  ): void {
    const found = this.find(method, path);
    if (!found) throw new Error(`the contract has no ${method} ${path}`);
    const { template, operation } = found;
    const name = `${method} ${template} ${String(answer.status)}`;
    const key = String(answer.status) in operation.responses ? String(answer.status) : "default";
    const response = operation.responses[key];
    const type = (answer.headers.get("content-type") ?? "").split(";")[0] ?? "";
    const types = Object.keys(response?.content ?? {});
    const isOtherError = answer.status >= 400 && types.length === 0 && this.contract.errors !== undefined;
    if (!response && !isOtherError)
      throw new Error(`${name}: the contract has no such status, and no default`);
    if (types.length === 0 && !isOtherError) {
      if (answer.body !== "") throw new Error(`${name}: a body, where none is documented`);
      this.seen.add(name);
      return;
    }
    if (!types.includes(type) && !(isOtherError && type === "application/json"))
      throw new Error(`${name}: content type ${type}, documented: ${types.join(", ")}`);
    const pointer = ["paths", template, method.toLowerCase(), "responses", key, "content", type, "schema"];
    const validate = this.compile(
      isOtherError
        ? `contract${this.contract.errors ?? ""}`
        : `contract#/${pointer.map(pointerStep).map(encodeURIComponent).join("/")}`,
    );
    const data: unknown = "data" in answer ? answer.data : JSON.parse(answer.body);
    if (!validate(data)) {
      throw new Error(
        `${name}: ${this.ajv.errorsText(validate.errors)}\n${JSON.stringify(data, undefined, 2)}`,
      );
    }
    for (const header of Object.keys(response?.headers ?? {})) {
      // The only header that may be null is the storage operation.
      if (header !== "X-Dedalus-Storage-Operation-Id" && !answer.headers.has(header)) {
        throw new Error(`${name}: the header ${header} is missing`);
      }
    }
    this.seen.add(name);
  }

  private compile(ref: string): ValidateFunction {
    const known = this.compiled.get(ref) ?? this.ajv.compile({ $ref: ref });
    this.compiled.set(ref, known);
    return known;
  }
}
