/** Markdown as a reader of GitHub's dialect takes it: the tree, and what of it could do harm. */
/* eslint-disable @typescript-eslint/no-require-imports -- the builds that need no dynamic import */
const prettier = require("prettier/standalone") as {
  __debug: { parse(text: string, options: object): Promise<{ ast: Node }> };
};
const markdownPlugin = require("prettier/plugins/markdown") as object;
/* eslint-enable @typescript-eslint/no-require-imports */

export interface Node {
  type: string;
  value?: string;
  url?: string;
  lang?: string | null;
  children?: Node[];
}

export async function parsed(markdown: string): Promise<Node> {
  return (await prettier.__debug.parse(markdown, { parser: "markdown", plugins: [markdownPlugin] })).ast;
}

export const nodesOf = (node: Node): Node[] => [node, ...(node.children ?? []).flatMap(nodesOf)];

/** The kinds of nodes and the HTML, without any text: the same for two documents of the same form. */
export function skeleton(node: Node): unknown {
  if (node.type === "html") return node.value?.replace(/(<code>).*?(<\/code>)/gs, "$1$2");
  // One name is in a code span, another one in <code>: both are one thing.
  const children = (node.children ?? []).filter(({ type }) => type !== "text" && type !== "inlineCode");
  const shown = children.map(skeleton).filter((child) => child !== "<code>" && child !== "</code>");
  return shown.length > 0 ? { [node.type]: shown } : node.type;
}

/** Text that GitHub looks at for mentions and links: what is neither in code nor in a block of code. */
export function looseText(node: Node): string {
  let inCode = false;
  return nodesOf(node)
    .map(({ type, value = "" }) => {
      if (type === "html") {
        if (value === "<code>") inCode = true;
        else if (value === "</code>") inCode = false;
        return value.replace(/<code>.*?<\/code>/gs, "").replace(/<[^<>]*>/g, "");
      }
      return type === "text" && !inCode ? value : "";
    })
    .join("");
}
