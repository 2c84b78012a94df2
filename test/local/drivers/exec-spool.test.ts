import { appendFileSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { exportText } from "../../../local/src/engine/drivers/exec-scripts";
import { readExit, punchSpool } from "../../../local/src/engine/drivers/exec-spool";

const folder = mkdtempSync(join(tmpdir(), "machines-spool-"));
const path = join(folder, "stdout");
afterAll(() => rmSync(folder, { recursive: true }));

describe("punchSpool", () => {
  it("gives back the space of old output and moves no offset", async () => {
    writeFileSync(path, Buffer.alloc(1_000_000, "a"));
    expect(await punchSpool(path, 900_001)).toBe(true);
    expect(statSync(path).size).toBe(1_000_000);
    expect(statSync(path).blocks * 512).toBeLessThan(120_000);
    const text = readFileSync(path);
    expect(text[0]).toBe(0);
    expect(text.subarray(900_001).every((byte) => byte === 97)).toBe(true);
  });

  it("goes on from where it was when more has come", async () => {
    appendFileSync(path, Buffer.alloc(500_000, "b"));
    expect(await punchSpool(path, 1_400_000)).toBe(true);
    expect(
      readFileSync(path)
        .subarray(1_400_000)
        .every((byte) => byte === 98),
    ).toBe(true);
  });

  it("leaves everything where nothing is to go", async () => {
    writeFileSync(path, "short");
    expect(await punchSpool(path, 0)).toBe(true);
    expect(readFileSync(path, "utf8")).toBe("short");
  });
});

describe("readExit", () => {
  it.each([
    ["0\n", "", { exitCode: 0, signal: null }],
    ["137\n", "", { exitCode: 137, signal: 9 }],
    ["255\n", "", { exitCode: 255, signal: null }],
    ["127\n", "x: command not found\n", { exitCode: 127, signal: null, startError: "x: command not found" }],
    [
      "126\n",
      "/bin/sh: 8: cd: can't cd to /x\n",
      { exitCode: 126, signal: null, startError: "cd: can't cd to /x" },
    ],
  ])("reads %j with start-error %j", async (exit, startError, expected) => {
    writeFileSync(join(folder, "exit"), exit);
    writeFileSync(join(folder, "start-error"), startError);
    expect(await readExit(folder)).toEqual(expected);
  });

  it("is undefined while the command runs", async () => {
    expect(await readExit(join(folder, "none"))).toBeUndefined();
  });
});

it("quotes variables for a shell", () => {
  expect(exportText({ A: "it's", B: "" })).toBe("export A='it'\\''s'\nexport B=''\n");
});
