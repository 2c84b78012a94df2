/**
 * Makes the structure-only extract of an OpenAPI 3.1 document that the contract tests read: paths, parameters,
 * schemas, response content types and headers. Prose (descriptions, summaries, titles, examples) stays out.
 *
 *     node tools/contracts/extract.mjs DOCUMENT.json > test/contracts/NAME.json
 *
 * The document is JSON; convert YAML first.
 */
import { readFileSync } from "node:fs";

const methods = ["get", "put", "post", "patch", "delete", "head", "options"];

/** Keywords of a schema that say what is valid. Anything else (prose, tool hints) is left out. */
const plainKeywords = [
  "$ref",
  "type",
  "format",
  "enum",
  "const",
  "default",
  "pattern",
  "minimum",
  "maximum",
  "exclusiveMinimum",
  "exclusiveMaximum",
  "multipleOf",
  "minLength",
  "maxLength",
  "minItems",
  "maxItems",
  "uniqueItems",
  "minProperties",
  "maxProperties",
  "required",
  "discriminator",
  "nullable",
];
const schemaKeywords = ["items", "additionalProperties", "not"];
const schemaLists = ["oneOf", "anyOf", "allOf"];
const schemaMaps = ["properties", "patternProperties"];

const mapValues = (object, change) =>
  Object.fromEntries(Object.entries(object ?? {}).map(([name, value]) => [name, change(value)]));

const withoutAbsent = (object) =>
  Object.fromEntries(
    Object.entries(object).filter(
      ([, value]) =>
        value !== undefined && !(value?.constructor === Object && Object.keys(value).length === 0),
    ),
  );

const pick = (object, names) => Object.fromEntries(names.map((name) => [name, object[name]]));

/** `{}` and `true` mean "anything" and are kept as they are. */
function schema(value) {
  if (typeof value !== "object" || value === null) return value;
  const kept = { ...pick(value, plainKeywords) };
  for (const name of schemaKeywords) if (name in value) kept[name] = schema(value[name]);
  for (const name of schemaLists) if (name in value) kept[name] = value[name].map(schema);
  for (const name of schemaMaps) if (name in value) kept[name] = mapValues(value[name], schema);
  return Object.fromEntries(Object.entries(kept).filter(([, part]) => part !== undefined));
}

const content = (value) => value && mapValues(value, (media) => ({ schema: schema(media.schema ?? {}) }));

const parameter = (value) =>
  value.$ref
    ? { $ref: value.$ref }
    : withoutAbsent({ ...pick(value, ["name", "in", "required"]), schema: schema(value.schema) });

const headers = (value) =>
  value && mapValues(value, (header) => withoutAbsent({ schema: schema(header.schema ?? {}) }));

const response = (value) =>
  value.$ref
    ? { $ref: value.$ref }
    : withoutAbsent({ content: content(value.content), headers: headers(value.headers) });

const body = (value) =>
  value && withoutAbsent({ required: value.required, content: content(value.content), $ref: value.$ref });

const operation = (value) =>
  withoutAbsent({
    operationId: value.operationId,
    security: value.security,
    parameters: value.parameters?.map(parameter),
    requestBody: body(value.requestBody),
    responses: mapValues(value.responses, response),
  });

const path = (value) =>
  withoutAbsent({
    parameters: value.parameters?.map(parameter),
    ...Object.fromEntries(
      methods.filter((method) => method in value).map((method) => [method, operation(value[method])]),
    ),
  });

const securityScheme = (value) => pick(value, ["type", "scheme", "in", "name"]);

function extract(document) {
  const { components = {} } = document;
  return withoutAbsent({
    openapi: document.openapi,
    security: document.security,
    paths: mapValues(document.paths, path),
    components: withoutAbsent({
      schemas: mapValues(components.schemas, schema),
      parameters: mapValues(components.parameters, parameter),
      responses: mapValues(components.responses, response),
      requestBodies: mapValues(components.requestBodies, body),
      headers: headers(components.headers),
      securitySchemes: mapValues(components.securitySchemes, securityScheme),
    }),
  });
}

const [file] = process.argv.slice(2);
if (!file) {
  console.error("usage: node tools/contracts/extract.mjs DOCUMENT.json > EXTRACT.json");
  process.exitCode = 2;
} else {
  process.stdout.write(`${JSON.stringify(extract(JSON.parse(readFileSync(file, "utf8"))), undefined, 1)}\n`);
}
