/** What is changed is what was agreed to. */
import { askedOf, checkAskable } from "../../../provider/src/stack/consent";
import type { Finding } from "../../../provider/src/stack/finding";

const finding = (subject: string, given: Partial<Finding> = {}): Finding => ({
  kind: "unknown_machine",
  severity: "fault",
  subject,
  what: "",
  next: "",
  fix: { do: "delete_machine", machineId: `dm-${subject}` },
  ...given,
});

test("each change is asked for by itself, and only a yes is one", async () => {
  const { fix: _fix, ...unfixable } = finding("none");
  const findings = [
    finding("a"),
    unfixable,
    finding("note", { severity: "note" }),
    finding("b", { mustBeNamed: true }),
    finding("c"),
    finding("d"),
    finding("e"),
  ];
  const answers = ["y", " YES ", "", "yep", "n"];
  const questions: string[] = [];
  const consent = await askedOf(findings, (question) => {
    questions.push(question);
    return Promise.resolve(answers.shift() ?? "");
  });
  expect(questions).toEqual(
    ["a", "b", "c", "d", "e"].map((name) => `${name}: delete machine dm-${name}, with its disk?`),
  );
  expect(consent.agreed.map(({ subject }) => subject)).toEqual(["a", "b"]);
  expect(consent.others.map(({ subject, outcome }) => [subject, outcome])).toEqual([
    ["c", "refused"],
    ["d", "refused"],
    ["e", "refused"],
  ]);
});

test("without a terminal nothing is asked: --yes has to say it", () => {
  expect(() => checkAskable(true, false)).not.toThrow();
  expect(() => checkAskable(false, true)).not.toThrow();
  expect(() => checkAskable(false, false)).toThrow(/needs a terminal; without one, give --yes/);
});
