import {
  appendFileSync,
  mkdtempSync,
  readdirSync,
  rmSync,
  statSync,
  utimesSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { FileJournal } from "../../provider/src/create-journal";

describe("the create journal", () => {
  let folder: string;
  beforeEach(() => (folder = mkdtempSync(join(tmpdir(), "journal-"))));
  afterEach(() => rmSync(folder, { recursive: true, force: true }));
  const body = { vcpu: 1, memoryMiB: 2048, storageGiB: 10, autosleep: "5m" };

  test("merges what is learned about a create, over processes", async () => {
    await new FileJournal(folder).write({ key: "k", body });
    await new FileJournal(folder).write({ key: "k", machineId: "dm-1", claim: "c", superseded: ["b"] });
    expect(await new FileJournal(folder).find("k")).toEqual({
      key: "k",
      body,
      machineId: "dm-1",
      claim: "c",
      superseded: ["b"],
    });
    expect(await new FileJournal(folder).find("other")).toBeUndefined();
  });

  test("is readable by its user only, and leaves no other file", async () => {
    const inner = join(folder, "creates");
    await new FileJournal(inner).write({ key: "k", body });
    expect(statSync(inner).mode & 0o777).toBe(0o700);
    const names = readdirSync(inner);
    expect(names).toEqual([expect.stringMatching(/^[0-9a-f]{64}\.json$/)]);
    expect(statSync(join(inner, names[0] ?? "")).mode & 0o777).toBe(0o600);
  });

  test("takes a broken entry for none", async () => {
    await new FileJournal(folder).write({ key: "k", body });
    writeFileSync(join(folder, readdirSync(folder)[0] ?? ""), '{"key":');
    expect(await new FileJournal(folder).find("k")).toBeUndefined();
    await new FileJournal(folder).write({ key: "k", gone: true });
    expect(await new FileJournal(folder).find("k")).toEqual({ key: "k", gone: true });
  });

  test("goes on after a line that a kill cut short", async () => {
    await new FileJournal(folder).write({ key: "k", body });
    appendFileSync(join(folder, readdirSync(folder)[0] ?? ""), '{"key":"k","machi');
    await new FileJournal(folder).write({ key: "k", machineId: "dm-1" });
    expect(await new FileJournal(folder).find("k")).toEqual({ key: "k", body, machineId: "dm-1" });
  });

  test("forgets what nobody touched for more than a year", async () => {
    await new FileJournal(folder).write({ key: "old", body });
    const year = new Date(Date.now() - 401 * 86_400_000);
    utimesSync(join(folder, readdirSync(folder)[0] ?? ""), year, year);
    await new FileJournal(folder).write({ key: "new", body });
    expect(readdirSync(folder)).toHaveLength(1);
  });

  test("never fails an operation: a folder that cannot be written is no journal", async () => {
    writeFileSync(join(folder, "file"), "");
    const journal = new FileJournal(join(folder, "file", "creates"));
    await journal.write({ key: "k", body });
    expect(await journal.find("k")).toBeUndefined();
  });
});
