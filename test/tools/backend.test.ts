import { TestFolder } from "./folders";
import { call, callEach } from "./tool-call";

const projects: [text: string, url: string | null, name: string][] = [
  ["name: a\nruntime: nodejs\n", null, "no backend"],
  ["name: a\nbackend:\n  url: s3://bucket\n", "s3://bucket", "a block"],
  ["backend:\n\n  # ours\n  url: 'file://./state' # here\nname: a", "file://./state", "quotes and comments"],
  ['backend: { url: "https://x" }\n', "https://x", "in one line"],
  ["backend: {url: https://x}\n", "https://x", "in one line, without quotes"],
  ["backend:\nurl: s3://not-of-the-backend\n", null, "an empty backend"],
  ['{ "name": "a", "backend": { "url": "gs://b" } }', "gs://b", "a Pulumi.json"],
  ['{ "name": "a" }', null, "a Pulumi.json without"],
  ["config:\n  backend:\n    url: s3://x\n", null, "a backend that is not at the top"],
  ["backend:\r\n  url: s3://bucket\r\n", "s3://bucket", "Windows line ends"],
];

const folders: [args: string[], folder: string][] = [
  [["up"], "/here"],
  [["up", "-C", "sub"], "/here/sub"],
  [["--cwd", "/there", "up"], "/there"],
  [["--cwd=sub"], "/here/sub"],
  [["-C=sub"], "/here/sub"],
  [["-Csub"], "/here/sub"],
  [["up", "--", "-C", "sub"], "/here"],
  [["up", "-C"], "/here"],
];

test("reads the backend of a Pulumi.yaml", async () => {
  const outcomes = await callEach(
    "pulumi/backend.mjs",
    "backendOfProject",
    projects.map(([text]) => [text]),
  );
  expect(projects.map(([text, , name], index) => [text, outcomes[index]?.value, name])).toEqual(projects);
});

test("looks at the project that the arguments name", async () => {
  const outcomes = await callEach(
    "pulumi/backend.mjs",
    "projectFolder",
    folders.map(([args]) => [args, "/here"]),
  );
  expect(folders.map(([args], index) => [args, outcomes[index]?.value])).toEqual(folders);
});

describe("the user's backend", () => {
  const find = async (env: Record<string, string>, cwd: string): Promise<unknown> =>
    (await call("pulumi/backend.mjs", "findUsersBackend", { env, cwd })).value;

  test("is none for somebody who has never used Pulumi", async () => {
    await using folder = await TestFolder.make();
    expect(await find({ HOME: folder.path }, folder.path)).toBeNull();
  });

  test("is the current login, in the home folder or in PULUMI_HOME or in PULUMI_CREDENTIALS_PATH", async () => {
    await using folder = await TestFolder.make();
    const inHome = await folder.file(".pulumi/credentials.json", '{"current": "https://api.pulumi.com"}');
    const elsewhere = await folder.file("elsewhere/credentials.json", '{"current": "file://~"}');
    const env = { HOME: folder.path };
    const there = { url: "file://~", from: elsewhere };
    expect(await find(env, folder.path)).toEqual({ url: "https://api.pulumi.com", from: inHome });
    expect(await find({ ...env, PULUMI_HOME: folder.at("elsewhere") }, folder.path)).toEqual(there);
    expect(await find({ ...env, PULUMI_CREDENTIALS_PATH: folder.at("elsewhere") }, folder.path)).toEqual(
      there,
    );
  });

  test("is none after a logout", async () => {
    await using folder = await TestFolder.make();
    await folder.file(".pulumi/credentials.json", '{"accounts": {}}');
    expect(await find({ HOME: folder.path }, folder.path)).toBeNull();
  });

  test("is left alone when the credentials cannot be read", async () => {
    await using folder = await TestFolder.make();
    const from = await folder.file(".pulumi/credentials.json", "{");
    expect(await find({ HOME: folder.path }, folder.path)).toEqual({ url: "unreadable", from });
  });

  test("is the one of the project around the folder", async () => {
    await using folder = await TestFolder.make();
    const from = await folder.file("project/Pulumi.yaml", "backend:\n  url: s3://bucket\n");
    await folder.file("project/src/index.ts", "");
    expect(await find({ HOME: folder.path }, folder.at("project", "src"))).toEqual({
      url: "s3://bucket",
      from,
    });
  });

  test("comes from the environment before anything else", async () => {
    await using folder = await TestFolder.make();
    await folder.file("Pulumi.yaml", "backend:\n  url: s3://bucket\n");
    const env = { HOME: folder.path, PULUMI_ACCESS_TOKEN: "pul-1" };
    expect(await find(env, folder.path)).toEqual({ from: "PULUMI_ACCESS_TOKEN" });
    expect(await find({ ...env, PULUMI_BACKEND_URL: "gs://b" }, folder.path)).toEqual({
      url: "gs://b",
      from: "PULUMI_BACKEND_URL",
    });
  });
});
