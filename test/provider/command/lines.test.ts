import { OutputLines } from "../../../provider/src/command/lines";
import { maskOf, secrecyOf, secretsIn } from "../../../provider/src/command/mask";

const both = { stdout: true, stderr: true };

function lines(options: { shown?: typeof both; secrets?: string[] } = {}) {
  const shown: string[] = [];
  let now = 5_000;
  const output = new OutputLines(
    (line) => shown.push(line),
    options.shown ?? both,
    maskOf(options.secrets ?? []),
    {
      now: () => now,
    },
  );
  return { output, shown, later: (ms: number) => (now += ms) };
}

describe("output as lines", () => {
  test("whole lines, whatever the pieces are, and the rest at the end", () => {
    const { output, shown } = lines();
    for (const piece of ["fir", "st\nsec", "ond\r\n", "thi", "rd"]) output.add("stdout", piece);
    expect(shown).toEqual(["first", "second"]);
    output.end();
    expect(shown).toEqual(["first", "second", "third"]);
  });

  test("a secret that is longer than a line may be is never shown, in whatever pieces it comes", () => {
    const secret = Array.from({ length: 20_000 }, (_, n) => (n * n).toString(36)).join("");
    for (const ahead of [0, 100, 8_000]) {
      const shown: string[] = [];
      const output = new OutputLines(
        (line) => shown.push(line),
        both,
        maskOf([secret]),
        { now: () => 0 },
        secret.length,
      );
      const text = `${"-".repeat(ahead)}${secret}${secret}`;
      for (let at = 0; at < text.length; at += 4_096) output.add("stdout", text.slice(at, at + 4_096));
      output.end();
      expect(shown.join("")).toMatch(/^-*(\[secret\])*(\.\.\.)?$/);
    }
  });

  test("two streams do not mix within a line", () => {
    const { output, shown } = lines();
    output.add("stdout", "out ");
    output.add("stderr", "err\n");
    output.add("stdout", "put\n");
    expect(shown).toEqual(["err", "out put"]);
  });

  test("what is not to be shown is still in the tail", () => {
    const { output, shown } = lines({ shown: { stdout: false, stderr: true } });
    output.add("stdout", "quiet\n");
    output.add("stderr", "loud\n");
    expect(shown).toEqual(["loud"]);
    expect(output.tail()).toEqual(["quiet", "loud"]);
  });

  test("a flood is counted and not shown, and the tail has its end", () => {
    const { output, shown, later } = lines();
    output.add("stdout", Array.from({ length: 1_000 }, (_none, at) => `line ${String(at)}\n`).join(""));
    expect(shown).toHaveLength(50);
    later(1_000);
    output.add("stdout", "after\n");
    expect(shown.slice(50)).toEqual(["(950 lines are not shown)", "after"]);
    expect(output.tail().slice(-2)).toEqual(["line 999", "after"]);
  });

  test("a line without an end is shown once, cut to what a terminal takes", () => {
    const { output, shown } = lines();
    output.add("stdout", "x".repeat(10_000));
    expect(shown).toEqual([`${"x".repeat(400)}...`]);
    output.add("stdout", "y".repeat(10_000));
    output.add("stdout", "z\nnext\n");
    expect(shown.slice(1)).toEqual(["next"]);
  });

  test("a progress bar is as it was last, whatever its pieces are", () => {
    const bar = "10%\r50%\r100%, done.\r\nnext\r\n";
    for (let at = 0; at <= bar.length; at += 1) {
      const { output, shown } = lines();
      output.add("stderr", bar.slice(0, at));
      output.add("stderr", bar.slice(at));
      output.end();
      expect(shown).toEqual(["100%, done.", "next"]);
    }
  });

  test("control characters do not reach the terminal", () => {
    const { output, shown } = lines();
    output.add("stdout", "\u001b[31mred\u001b[0m\u0007\n");
    expect(shown.join("")).not.toMatch(/[\u0000-\u001f]/);
  });
});

describe("secrets", () => {
  test("are those that the program gave as such, each line of them", () => {
    const properties = {
      __secret: ["environment.TOKEN", "stdin"],
      environment: { TOKEN: "t0ken", HOME: "/root" },
      stdin: "first\nsecond",
    };
    const found = (of: Record<string, unknown>) => [...new Set(secretsIn(of))];
    expect(found(properties)).toEqual(["t0ken", "first\nsecond", "first", "second"]);
    expect(found({ __secret: ["environment"], environment: { A: "aaa", B: "bbb" } })).toEqual(["aaa", "bbb"]);
    expect(secretsIn({ environment: { A: "aaa" } })).toEqual([]);
  });

  test("are masked in lines, the longest first, and no text is torn by a short one", () => {
    const { output, shown } = lines({ secrets: ["token", "token-long", "a"] });
    output.add("stdout", "a token-long and a token\n");
    expect(shown).toEqual(["a [secret] and a [secret]"]);
  });

  test("do not slip through in two pieces", () => {
    const { output, shown } = lines({ secrets: ["hunter2"] });
    output.add("stdout", "pass hun");
    output.add("stdout", "ter2 word\n");
    expect(shown).toEqual(["pass [secret] word"]);
  });

  test.each([8_188, 8_190, 8_192])(
    "do not slip through after %i characters without a line break",
    (before) => {
      const { output, shown } = lines({ secrets: ["hunter2"] });
      for (const piece of ["x".repeat(before), "hun", "ter2", " word"]) output.add("stdout", piece);
      output.end();
      expect(shown.join("\n")).not.toMatch(/hun|ter2/);
    },
  );

  test("in a line of the command are named, since nobody knows which part of it is the secret", () => {
    expect(secrecyOf({ __secret: ["stdin"], stdin: "pass" }).secretLine).toBeUndefined();
    expect(
      secrecyOf({ __secret: ["stdin"] }, { __secret: ["update"], update: "login pass" }).secretLine,
    ).toBe("update");
  });
});
