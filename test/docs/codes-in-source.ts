/** Every error code and error class that the sources hold, read from their syntax: what docs/errors.md has to explain. */
import { readdirSync, readFileSync } from "node:fs";
import { join, relative } from "node:path";
import ts from "typescript";

const root = join(__dirname, "..", "..");

export interface Found {
  text: string;
  /** Where it stands, for the message of a test. */
  where: string;
}

const filesIn = (folder: string): string[] =>
  readdirSync(join(root, folder), { recursive: true, encoding: "utf8" })
    .filter((name) => name.endsWith(".ts"))
    .map((name) => join(root, folder, name));

const trees = new Map<string, ts.SourceFile>();
function treeOf(file: string): ts.SourceFile {
  const known = trees.get(file);
  if (known) return known;
  const tree = ts.createSourceFile(file, readFileSync(file, "utf8"), ts.ScriptTarget.ES2023, true);
  trees.set(file, tree);
  return tree;
}

function* nodesOf(node: ts.Node): Generator<ts.Node> {
  yield node;
  for (const child of node.getChildren()) yield* nodesOf(child);
}

/** What `pick` finds in the nodes of a folder's files. */
function collect(folder: string, pick: (node: ts.Node) => string | undefined): Found[] {
  return filesIn(folder).flatMap((file) =>
    [...nodesOf(treeOf(file))].flatMap((node) => {
      const text = pick(node);
      return text === undefined ? [] : [{ text, where: relative(root, file) }];
    }),
  );
}

const literal = (node: ts.Node | undefined): string | undefined =>
  node && ts.isStringLiteral(node) ? node.text : undefined;

/** `code: "x"` and `code = "x"`, whatever the object is. */
export const namedLiterals = (folder: string, ...names: string[]): Found[] =>
  collect(folder, (node) =>
    (ts.isPropertyAssignment(node) || ts.isPropertyDeclaration(node)) && names.includes(node.name.getText())
      ? literal(node.initializer)
      : undefined,
  );

/** The first argument of `new NAME("x", ...)` or `NAME("x", ...)`. */
export const firstArguments = (folder: string, callee: string): Found[] =>
  collect(folder, (node) =>
    (ts.isNewExpression(node) || ts.isCallExpression(node)) && node.expression.getText() === callee
      ? literal(node.arguments?.[0])
      : undefined,
  );

/** The members of a union of texts: `type NAME = "a" | "b"`. */
export function unionMembers(folder: string, name: string): Found[] {
  return collect(folder, (node) => {
    if (!ts.isLiteralTypeNode(node)) return undefined;
    const { parent } = node;
    const declaration = ts.isUnionTypeNode(parent) ? parent.parent : parent;
    const isIt = ts.isTypeAliasDeclaration(declaration) && declaration.name.text === name;
    return isIt ? literal(node.literal) : undefined;
  });
}

/** Texts in capitals with an underscore, as the codes of Dedalus are. */
export const capitals = (folder: string): Found[] =>
  collect(folder, (node) => {
    const text = literal(node);
    return text !== undefined && /^[A-Z]{3,}(_[A-Z]+)+$/.test(text) ? text : undefined;
  });

/** Codes that a doc comment lists: "Codes: `a`, `b`", or one a line. */
export const documentedCodes = (file: string): Found[] =>
  [...readFileSync(join(root, file), "utf8").matchAll(/\/\*\*[^]*?\*\//g)]
    .filter(([comment]) => /\bCodes: |\bCodes\./.test(comment))
    .flatMap(([comment]) => [...comment.matchAll(/`([a-z]+(?:_[a-z]+)*)`/g)])
    .map(([, text = ""]) => ({ text, where: file }));

/** `class NAME extends Error`, or another class whose name ends in "Error". */
export const errorClasses = (folder: string): Found[] =>
  collect(folder, (node) => {
    if (!ts.isClassDeclaration(node) || !node.name?.text.endsWith("Error")) return undefined;
    return node.heritageClauses === undefined ? undefined : node.name.text;
  });

const isText = (name: string): boolean => /\.(ts|cjs)$/.test(name);

/** All that the sources can say: texts that are put together from pieces are one, and what is filled in is a NUL. */
export function messagesIn(...folders: string[]): string {
  let text = folders
    .flatMap((folder) =>
      readdirSync(join(root, folder), { recursive: true, encoding: "utf8" })
        .filter(isText)
        .map((name) => readFileSync(join(root, folder, name), "utf8")),
    )
    .join("\n")
    .replaceAll(/["'`]\s*\+\s*["'`]/g, "");
  // What is filled in may be a template itself.
  for (let before = ""; before !== text;) {
    before = text;
    text = text.replaceAll(/\$\{[^{}`]*\}/g, "\0");
  }
  return text;
}
