/** The reference of the Machine resource as data, from the schema: what the README's tables are made of. */
import { z } from "zod";
import { machineArgs } from "./args";
import { changeText } from "./changes";
import { outputDescriptions } from "./state";

export interface ReferenceEntry {
  name: string;
  kind: "argument" | "output";
  type: string;
  /** As one writes it in a program; undefined for none. */
  default?: string;
  description: string;
  /** What a change of an argument does. */
  change?: string;
}

interface Described {
  type?: string;
  enum?: string[];
  description?: string;
  default?: unknown;
  properties?: Record<string, Described>;
}

const typeOf = ({ type, enum: values, properties }: Described): string => {
  if (values) return values.map((value) => `"${value}"`).join(" | ");
  if (properties) {
    const members = Object.entries(properties).map(([name, member]) => `${name}?: ${typeOf(member)}`);
    return `{ ${members.join("; ")} }`;
  }
  return type === "integer" ? "number" : (type ?? "string");
};

/** A value as a program writes it: `{ retries: 3 }`. */
function literal(value: unknown): string {
  if (typeof value !== "object" || value === null) return JSON.stringify(value);
  return `{ ${Object.entries(value)
    .map(([name, member]) => `${name}: ${literal(member)}`)
    .join(", ")} }`;
}

const outputTypes: Partial<Record<string, string>> = {
  retryable: "boolean",
  autosleepSeconds: "number",
  schemaVersion: "number",
};

/** Arguments first, in the order of the schema, then the computed outputs. */
export function machineReference(): ReferenceEntry[] {
  const schema = z.toJSONSchema(machineArgs, { io: "input", unrepresentable: "any" }) as Described;
  const args = Object.entries(schema.properties ?? {}).map(([name, property]): ReferenceEntry => ({
    name,
    kind: "argument",
    type: typeOf(property),
    ...(property.default === undefined ? {} : { default: literal(property.default) }),
    description: property.description ?? "",
    change: changeText(name),
  }));
  const id: ReferenceEntry = {
    name: "id",
    kind: "output",
    type: "string",
    description: "The machine's id at the service.",
  };
  const outputs = Object.entries(outputDescriptions).map(([name, description]): ReferenceEntry => ({
    name,
    kind: "output",
    type: outputTypes[name] ?? "string",
    description,
  }));
  return [...args, id, ...outputs];
}
