import { PreviewFormatError, readPreview } from "../../../provider/src/report/preview";
import { recorded } from "./digests";

test.each([
  ["nothing", "  \n", "the text is empty"],
  ["no JSON", "error: no stack selected", "this is not JSON"],
  ["half a preview", recorded("create").slice(0, 2_000), "this is not JSON"],
  ["another JSON", '{"resources": []}', "it has no steps"],
  ["a list", "[]", "not the preview of a stack"],
  ["steps of another form", '{"steps": [{"op": 1}]}', "not the preview of a stack at steps.0.op"],
  [
    "a stream of events",
    '{"sequence":0,"timestamp":1}\n{"sequence":1}\n',
    "unset PULUMI_ENABLE_STREAMING_JSON_PREVIEW",
  ],
])("%s is refused in one line that says how to make a preview", (_what, text, message) => {
  expect(() => readPreview(text)).toThrow(PreviewFormatError);
  expect(() => readPreview(text)).toThrow(message);
  expect(() => readPreview(text)).toThrow("pulumi preview --json --show-sames");
});

test("lines that npm prints around a preview do not matter, nor does a byte order mark", () => {
  const plain = readPreview(recorded("changes"));
  expect(
    readPreview(`\n> shop@1.0.0 preview\n> pulumi preview --json {x}\n\n${recorded("changes")}\ndone\n`),
  ).toEqual(plain);
  expect(readPreview(`\uFEFF${recorded("changes")}`)).toEqual(plain);
});

test("a preview without unchanged resources knows that it is not complete", () => {
  expect(readPreview(recorded("changes")).complete).toBe(true);
  expect(readPreview(recorded("hostile")).complete).toBe(false);
});

test("only errors and warnings are kept of what was said, without the colours of a terminal", () => {
  const { diagnostics } = readPreview(recorded("program-error"));
  expect(diagnostics).toHaveLength(1);
  expect(diagnostics[0]?.message).not.toContain("\u001b");
});
