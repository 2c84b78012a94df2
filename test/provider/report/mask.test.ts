import fc from "fast-check";
import { jsonOf } from "../../../provider/src/report/json";
import { markdownOf } from "../../../provider/src/report/markdown";
import { masked } from "../../../provider/src/report/mask";
import { digestOf, madeStep, reportFrom } from "./digests";

const signature = "4dabf18193072939515e22adb298388d";
const secretKind = "1b47061264138c4ac30d75fd1eb44270";
const secret = (plaintext: string): object => ({
  [signature]: secretKind,
  plaintext: JSON.stringify(plaintext),
});

test.each([
  ["a secret in the clear, as --show-secrets has it", secret("hunter2"), "[secret]"],
  ["one in ciphertext", { [signature]: secretKind, ciphertext: "v1:hunter2" }, "[secret]"],
  [
    "an output that is secret",
    { [signature]: "d0e6a833031e9bbcd3f4e8bde6ca49a4", secret: true, value: "hunter2" },
    "[secret]",
  ],
  ["an output that is not", { [signature]: "d0e6a833031e9bbcd3f4e8bde6ca49a4", value: [1] }, [1]],
  ["a kind that is not known", { [signature]: "somethingnew", value: "hunter2" }, "[secret]"],
  [
    "an asset",
    { [signature]: "c44067f5952c0a294b673a41bacd8c17", hash: "0123456789abcdef", text: "hunter2" },
    "[asset 0123456789ab]",
  ],
  ["a secret far down", { a: [{ b: secret("hunter2") }] }, { a: [{ b: "[secret]" }] }],
  ["plain JSON", { a: [1, null, "x"], __proto__x: true }, { a: [1, null, "x"], __proto__x: true }],
])("%s", (_what, value, expected) => {
  expect(masked(value)).toEqual(expected);
});

test("no secret comes through, wherever it is in a preview", () => {
  const place = fc.letrec<{ tree: unknown; leaf: unknown }>((tie) => ({
    leaf: fc.constantFrom(secret("hunter2"), "open", 1),
    tree: fc.oneof(
      { maxDepth: 4 },
      tie("leaf"),
      fc.array(tie("tree"), { maxLength: 3 }),
      fc.dictionary(fc.string({ maxLength: 4 }), tie("tree"), { maxKeys: 3 }),
    ),
  })).tree;
  fc.assert(
    fc.property(place, place, fc.constantFrom("create", "update", "replace", "delete"), (old, next, op) => {
      const step = madeStep({ op, old: { env: old }, new: { env: next } });
      const report = reportFrom(digestOf([step]));
      expect(markdownOf(report) + JSON.stringify(jsonOf(report))).not.toContain("hunter2");
    }),
  );
});

test("what the state calls secret is one, and so is the secret of a webhook", () => {
  const hidden = reportFrom(
    digestOf([
      madeStep({
        op: "update",
        old: { env: "hunter2" },
        new: { env: "x" },
        oldState: { additionalSecretOutputs: ["env"] },
      }),
      madeStep({
        op: "create",
        type: "pulumi-nodejs:dynamic/machines:Webhook",
        name: "hook",
        new: { secret: "hunter2" },
      }),
    ]),
  );
  expect(markdownOf(hidden)).not.toContain("hunter2");
});

test("values that are not known yet say so, of every kind and at every depth", () => {
  const unknowns = ["04da6b54-80e4-46f7-96ec-b56ff0331ba9", "3eeb2bf0-c639-47a8-9e75-3b44932eb421"];
  const step = madeStep({
    op: "create",
    new: { autosleep: unknowns[0], vcpu: unknowns[1], env: { A: `x${unknowns[0]}y` } },
  });
  const report = reportFrom(digestOf([step]));
  const markdown = markdownOf(report);
  expect(markdown).toContain("+ autosleep: [known after apply]\n");
  expect(markdown).toContain('+ env: {"A":"[known after apply]"}\n');
  for (const text of unknowns) expect(markdown + JSON.stringify(jsonOf(report))).not.toContain(text);
  expect(report.totals?.vcpu).toEqual({ before: 0, after: 0, unknownBefore: 0, unknownAfter: 1 });
});

test.each([
  [
    "a text",
    'value {&{{hunter2}}} has a problem: "hunter2" is not a duration',
    'value {[secret]} has a problem: "[secret]" is not a duration',
  ],
  [
    "one of many lines",
    "value {&{{a\nb}}} has a problem: a\nb, a\\nb",
    "value {[secret]} has a problem: [secret], [secret]",
  ],
  [
    "an object",
    "value {&{{map[a:{hunter2}]}}} has a problem: a: hunter2",
    "value {[secret]} has a problem: a: [secret]",
  ],
  ["no secret", "value {0.3} has a problem: 0.3", "value {0.3} has a problem: 0.3"],
])("a check that refuses %s does not tell a secret", (_what, message, expected) => {
  const diagnostics = [
    { severity: "error", message: `error: ${message}\n` },
    { severity: "warning", message: "hunter2 again" },
  ];
  const { diagnostics: shown } = reportFrom(digestOf([], { diagnostics }));
  expect(shown[0]?.message).toBe(`error: ${expected}`);
  expect(shown[1]?.message).toBe(message.includes("hunter2") ? "[secret] again" : "hunter2 again");
});
