/** The reference of a resource as data, from its schema: what the tables of docs/reference.md are made of. */
import { z } from "zod";

export interface ReferenceEntry {
  name: string;
  kind: "argument" | "output";
  type: string;
  required: boolean;
  /** As one writes it in a program; undefined for none. */
  default?: string;
  description: string;
  /** What a change of an argument does. */
  change?: string;
}

export interface Referenced {
  args: z.ZodObject;
  /** The computed outputs, in order, with what they mean. */
  outputs: Readonly<Record<string, string>>;
  /** Those that are no texts. */
  outputTypes?: Readonly<Record<string, string>>;
  /** What a change of an argument does, in words. */
  changeText(argument: string): string;
  /** Types that the schema cannot say, such as that of an asset. */
  argumentTypes?: Readonly<Record<string, string>>;
}

interface Described {
  type?: string;
  enum?: string[];
  const?: unknown;
  description?: string;
  default?: unknown;
  properties?: Record<string, Described>;
  required?: string[];
  items?: Described;
  anyOf?: Described[];
  additionalProperties?: Described | boolean;
}

const typeOf = (schema: Described): string => {
  const { type, enum: values, properties, items, anyOf, additionalProperties } = schema;
  if (values) return values.map((value) => JSON.stringify(value)).join(" | ");
  if (schema.const !== undefined) return JSON.stringify(schema.const);
  if (anyOf) return [...new Set(anyOf.map(typeOf))].join(" | ");
  if (properties) {
    const members = Object.entries(properties).map(
      ([name, member]) => `${name}${schema.required?.includes(name) ? "" : "?"}: ${typeOf(member)}`,
    );
    return `{ ${members.join("; ")} }`;
  }
  if (type === "array") return `${wrapped(items ? typeOf(items) : "unknown")}[]`;
  if (type === "object") {
    const value = typeof additionalProperties === "object" ? typeOf(additionalProperties) : "unknown";
    return `Record<string, ${value}>`;
  }
  return type === "integer" ? "number" : (type ?? "unknown");
};

const wrapped = (type: string): string => (type.includes(" | ") ? `(${type})` : type);

/** A value as a program writes it: `{ retries: 3 }`. */
function literal(value: unknown): string {
  if (typeof value !== "object" || value === null) return JSON.stringify(value);
  if (Array.isArray(value)) return `[${value.map(literal).join(", ")}]`;
  return `{ ${Object.entries(value)
    .map(([name, member]) => `${name}: ${literal(member)}`)
    .join(", ")} }`;
}

/** Arguments first, in the order of the schema, then the id, then the computed outputs. */
export function referenceOf(resource: Referenced, idMeans: string): ReferenceEntry[] {
  const { args, outputs, outputTypes = {}, argumentTypes = {} } = resource;
  const schema = z.toJSONSchema(args, { io: "input", unrepresentable: "any" }) as Described;
  const given = Object.entries(schema.properties ?? {}).map(([name, property]): ReferenceEntry => ({
    name,
    kind: "argument",
    type: argumentTypes[name] ?? typeOf(property),
    required: schema.required?.includes(name) ?? false,
    ...(property.default === undefined ? {} : { default: literal(property.default) }),
    description: property.description ?? "",
    change: resource.changeText(name),
  }));
  const computed = Object.entries({ id: idMeans, ...outputs }).map(([name, description]): ReferenceEntry => ({
    name,
    kind: "output",
    type: outputTypes[name] ?? "string",
    required: false,
    description,
  }));
  return [...given, ...computed];
}
