/** Compiles a program of the documents against the built packages, as a user's project would. */
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import ts from "typescript";

const options: ts.CompilerOptions = {
  module: ts.ModuleKind.ESNext,
  moduleResolution: ts.ModuleResolutionKind.Bundler,
  target: ts.ScriptTarget.ES2023,
  strict: true,
  noEmit: true,
  skipLibCheck: true,
  types: ["node"],
};

/** What the compiler has to say of it; nothing when it is right. */
export function compile(text: string): { messages: string[]; javascript: string } {
  // Inside of the repository, where the packages are found.
  const folder = mkdtempSync(join(__dirname, ".program-"));
  const file = join(folder, "index.ts");
  writeFileSync(file, `${text}\nexport {};\n`);
  try {
    const diagnostics = ts.getPreEmitDiagnostics(ts.createProgram([file], options));
    return {
      messages: diagnostics.map(({ messageText }) => ts.flattenDiagnosticMessageText(messageText, "\n")),
      javascript: ts.transpileModule(text, { compilerOptions: options }).outputText,
    };
  } finally {
    rmSync(folder, { recursive: true });
  }
}
