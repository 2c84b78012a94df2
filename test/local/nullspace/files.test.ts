/** Files over HTTP on real machines: every documented success, and what is refused. */
import { randomBytes } from "node:crypto";
import { readFileSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import type { Local } from "../../../local/src/start-local";
import { statePaths } from "../../../local/src/state-folder";
import { nullspaceContract } from "../../contracts/contract";
import { eventually, startTestLocal, told } from "./control-plane";
import { filePath, FilesApi, sha256 } from "./files-api";

let local: Local;
let api: FilesApi;
let id: string;
beforeAll(async () => {
  local = await startTestLocal({ driver: "auto" });
  api = new FilesApi(local);
  id = await api.machine({ memory_mb: 512 });
});
afterAll(() => local.close());

const files = (name: string, body: Record<string, unknown>, machine = id) =>
  api.ask("POST", `/v1/machines/${machine}/files/${name}`, { body });
const put = (path: string, content: string | Buffer) => api.raw("PUT", filePath(id, path), content);
const get = (path: string) => api.raw("GET", filePath(id, path));
const form = (...parts: [name: string, content: string, fileName?: string][]): FormData => {
  const data = new FormData();
  for (const [name, content, fileName] of parts) {
    if (fileName === undefined) data.append(name, content);
    else data.append(name, new Blob([content]), fileName);
  }
  return data;
};
const drafts = async (folder: string): Promise<string> => api.sh(id, `ls -A ${folder}`);

it("answers every documented success", async () => {
  expect((await put("/walk/a.txt", "alpha\nbeta\n")).status).toBe(204);
  expect((await get("/walk/a.txt")).bytes.toString()).toBe("alpha\nbeta\n");
  await api.raw("POST", filePath(id, "/walk/form.txt"), form(["file", "from a form", "x"]));
  await api.raw("POST", filePath(id, "/walk/posted.txt"), "posted");
  expect((await files("read", { path: "/walk/form.txt" })).json).toEqual({
    ...{ content: "from a form", encoding: "utf8", size: 11 },
  });
  expect((await files("info", { path: "/walk/a.txt", user: null })).json).toMatchObject({
    ...{ name: "a.txt", path: "/walk/a.txt", is_dir: false, size: 11, type: "file", mode: "0644" },
  });
  expect((await files("info", { path: "/walk" })).json).toMatchObject({ is_dir: true, type: "dir" });
  await api.sh(id, "ln -s a.txt /walk/link");
  expect((await files("info", { path: "/walk/link" })).json).toMatchObject({
    ...{ type: "symlink", symlink_target: "a.txt" },
  });
  expect((await files("exists", { path: "/walk/none" })).json).toEqual({ exists: false });
  await files("mkdir", { path: "/walk/one/two" });
  const written = await files("write", { path: "/walk/one/b", content: "/wD/", encoding: "base64" });
  expect(written.json).toMatchObject({ size: 3 });
  expect((await files("read", { path: "/walk/one/b", encoding: "base64" })).json["content"]).toBe("/wD/");
  await files("permissions", { path: "/walk/one/b", permissions: "0600" });
  expect((await files("rename", { old_path: "/walk/one/b", new_path: "/walk/c" })).json).toMatchObject({
    ...{ path: "/walk/c", mode: "0600" },
  });
  const listed = await api.ask("GET", `/v1/machines/${id}/files?path=/walk&depth=2`);
  expect((listed.json as unknown as { path: string }[]).map(({ path }) => path)).toEqual(
    ["a.txt", "c", "form.txt", "link", "one", "one/two", "posted.txt"].map((name) => `/walk/${name}`),
  );
  expect(Array.isArray((await api.ask("GET", `/v1/machines/${id}/files`)).json)).toBe(true);
  expect((await files("find", { path: "/walk", pattern: "^be" })).json).toEqual([
    { file: "/walk/a.txt", line: 2, content: "beta" },
  ]);
  expect((await files("search", { path: "/walk", pattern: "*.txt" })).json).toHaveLength(3);
  const change = { files: ["/walk/a.txt", "/walk/c"], pattern: "beta", replacement: "gamma" };
  expect((await files("replace", change)).json).toEqual({
    ...{ replacements: 1, files_modified: 1, files_skipped: 0, binary_files_skipped: 1 },
  });
  await files("remove", { path: "/walk/one" });
  const manifest = JSON.stringify({ files: [{ path: "/walk/m1", field: "a" }], user: null });
  await api.raw(
    "POST",
    `/v1/machines/${id}/files/batch-write`,
    form(["manifest", manifest], ["a", "A", "a"]),
  );
  await files("download-url", { path: "/walk/a.txt" });
  await files("upload-url", { path: "/walk/a.txt" });

  const uploads = `/v1/machines/${id}/uploads`;
  const first = await api.upload(id, { target_path: "/walk/up", content_length: 3 });
  await api.part(id, first["upload_id"], 0, Buffer.from("abc"));
  await api.ask("GET", `${uploads}/${String(first["upload_id"])}`);
  await api.ask("POST", `${uploads}/${String(first["upload_id"])}/complete`);
  const second = await api.upload(id, { target_path: "/walk/up", content_length: 3 });
  await api.ask("DELETE", `${uploads}/${String(second["upload_id"])}`);

  const expected = Object.entries(nullspaceContract().paths)
    .filter(([template]) => /machines\/\{id\}\/(files?|uploads)(\/|$)/.test(template))
    .flatMap(([template, methods]) =>
      Object.entries(methods).flatMap(([method, { responses }]) =>
        Object.keys(responses ?? {}).map((status) => `${method.toUpperCase()} ${template} ${status}`),
      ),
    );
  expect(expected.filter((name) => !api.check.seen.has(name))).toEqual([]);
  expect(expected).toHaveLength(23);
});

it("every byte comes back, of any name", async () => {
  const content = randomBytes(3_000_001);
  await put("/bytes/ä ?&#%\n", content);
  const { bytes, headers } = await get("/bytes/ä ?&#%\n");
  expect(sha256(bytes)).toBe(sha256(content));
  expect(headers.get("content-length")).toBe("3000001");
  await put("/bytes/empty", "");
  expect((await get("/bytes/empty")).bytes).toHaveLength(0);
});

it("what is no file, or not there, is told as such", async () => {
  expect(told(await files("info", { path: "/none" }))).toEqual([404, "not_found"]);
  expect((await get("/none")).json["code"]).toBe("not_found");
  expect((await get("/etc")).json["code"]).toBe("file_error");
  expect((await put("/etc", "x")).json["code"]).toBe("file_error");
  await put("/binary", Buffer.from([0xff, 0xfe]));
  expect(told(await files("read", { path: "/binary" }))).toEqual([400, "file_error"]);
  expect(told(await files("info", { path: "/none" }, "mch_none"))).toEqual([404, "machine_not_found"]);
  expect((await api.raw("PUT", filePath("mch_none", "/x"), "x")).json["code"]).toBe("machine_not_found");
});

it.each<[string, string, Record<string, unknown>]>([
  ["no path", "info", {}],
  ["an empty path", "info", { path: "" }],
  ["a NUL", "info", { path: "/a\0b" }],
  ["half a surrogate pair", "mkdir", { path: "/\ud800" }],
  ["a path that is too long", "exists", { path: `/${"x".repeat(5000)}` }],
  ["a name that is too long", "mkdir", { path: `/${"x".repeat(300)}` }],
  ["an account that is none", "info", { path: "/", user: "-x; true" }],
  ["permissions that are none", "permissions", { path: "/", permissions: "u+s" }],
  ["a pattern that is none", "find", { path: "/etc", pattern: "(" }],
  ["broken base64", "write", { path: "/x", content: "a", encoding: "base64" }],
  ["half a character", "write", { path: "/x", content: "\ud800" }],
  ["an unknown encoding", "read", { path: "/x", encoding: "latin1" }],
  ["an unknown member", "remove", { path: "/x", recursive: true }],
])("%s is refused", async (_what, name, body) => {
  const answer = await files(name, body);
  expect(answer.status).toBe(400);
  expect(["invalid_request", "file_error"]).toContain(answer.json["code"]);
});

it("a query is complete, and has nothing that is not known", async () => {
  for (const query of ["", "?path=/a&path=/b", "?path=/a&range=1", "?path="]) {
    expect((await api.raw("GET", `/v1/machines/${id}/file${query}`)).status).toBe(400);
  }
  const listing = await api.ask("GET", `/v1/machines/${id}/files?path=/&depth=0`);
  expect(listing.status).toBe(400);
});

it("what the contract does not have and cannot be had says so", async () => {
  const change = { files: [], pattern: "a", replacement: "b", dry_run: true };
  expect(told(await files("replace", change))).toEqual([501, "not_implemented"]);
  const url = await files("download-url", { path: "/etc", archive_format: "tar" });
  expect(told(url)).toEqual([501, "not_implemented"]);
});

it("a path does not lead out of the machine", async () => {
  await put("/../../../../nullspace-escaped", "in the machine");
  expect(await api.sh(id, "cat /nullspace-escaped")).toBe("in the machine");
  await api.sh(id, "ln -s /nowhere/else /dangling");
  const followed = await put("/dangling/x", "x");
  expect([204, 400, 404]).toContain(followed.status);
  await files("remove", { path: "/nullspace-escaped" });
});

it("a body is told to be too long before it is sent, and one with a coding is refused", async () => {
  const socket = await api.raw("PUT", filePath(id, "/x"), "x", { "content-encoding": "gzip" });
  expect(socket.status).toBe(415);
  await files("write", { path: "/kept", content: "old" });
  await api.cut("PUT", filePath(id, "/kept"), { "content-length": "99999999999999" }, "x");
  expect((await get("/kept")).bytes.toString()).toBe("old");
  const large = await files("write", { path: "/kept", content: "x".repeat(33 * 1_048_576) });
  expect(told(large)).toEqual([413, "file_error"]);
});

it("an upload that is cut leaves the old content, and nothing beside it", async () => {
  await put("/cut/file", "old");
  const half = randomBytes(2_500_000);
  await api.cut("PUT", filePath(id, "/cut/file"), { "content-length": "5000000" }, half);
  await api.cut("PUT", filePath(id, "/cut/new/file"), { "transfer-encoding": "chunked" }, "5\r\nhello\r\n");
  const type = { "content-type": "multipart/form-data; boundary=B", "content-length": "5000000" };
  const head = '--B\r\ncontent-disposition: form-data; name="file"; filename="x"\r\n\r\n';
  await api.cut("POST", filePath(id, "/cut/file"), type, Buffer.concat([Buffer.from(head), half]));
  await eventually("nothing is left", async () => (await drafts("/cut")) === "file\n");
  expect((await get("/cut/file")).bytes.toString()).toBe("old");
});

describe("a form", () => {
  const post = async (body: FormData | string, boundary?: string) =>
    api.raw("POST", filePath(id, "/form/x"), body, {
      ...(boundary === undefined ? {} : { "content-type": `multipart/form-data${boundary}` }),
    });

  it.each<[string, () => ReturnType<typeof post>]>([
    ["without the file", () => post(form(["other", "x", "x"]))],
    ["with a text for the file", () => post(form(["file", "x"]))],
    ["with two files", () => post(form(["file", "x", "x"], ["file", "y", "y"]))],
    ["with nothing", () => post(form())],
    ["without a boundary", () => post("x", "")],
    ["with another boundary", () => post("--A\r\n\r\nx\r\n--A--", "; boundary=B")],
    [
      "that ends early",
      () =>
        post(
          '--B\r\ncontent-disposition: form-data; name="file"; filename="x"\r\n\r\nhello\r\n--B\r\n',
          "; boundary=B",
        ),
    ],
  ])("%s is refused, and nothing is written", async (_what, send) => {
    const answer = await send();
    expect([answer.status, answer.json["code"]]).toEqual([
      answer.status === 413 ? 413 : 400,
      "invalid_request",
    ]);
    expect((await files("exists", { path: "/form" })).json).toEqual({ exists: false });
  });
});

describe("a batch", () => {
  const send = (...parts: Parameters<typeof form>) =>
    api.raw("POST", `/v1/machines/${id}/files/batch-write`, form(...parts));
  const manifest = (...entries: [path: string, field: string][]): string =>
    JSON.stringify({ files: entries.map(([path, field]) => ({ path, field })) });

  it("writes what can be written, and tells of the rest in its place", async () => {
    const entries = manifest(["/batch/a", "a"], ["/etc", "b"], ["/batch/c", "c"], ["/batch/d", "d"]);
    const large = "x".repeat(500_000);
    const { json } = await send(
      ["manifest", entries, "m.json"],
      ["b", large, "b"],
      ["c", "C", "c"],
      ["a", "A", "a"],
    );
    expect(json["results"]).toMatchObject([
      { status: "success", path: "/batch/a", info: { size: 1 } },
      { status: "error", path: "/etc" },
      { status: "success", path: "/batch/c" },
      { status: "error", path: "/batch/d" },
    ]);
    expect(await api.sh(id, "cat /batch/a /batch/c")).toBe("AC");
  });

  it.each<[string, Parameters<typeof form>]>([
    ["no manifest", []],
    [
      "a late manifest",
      [
        ["a", "A", "a"],
        ["manifest", manifest(["/late", "a"]), "m"],
      ],
    ],
    ["a manifest that is no JSON", [["manifest", "{"]]],
    ["a manifest of something else", [["manifest", "[]"]]],
    ["a field twice in the manifest", [["manifest", manifest(["/late", "a"], ["/late2", "a"])]]],
    [
      "a part that the manifest does not name",
      [
        ["manifest", manifest()],
        ["a", "A", "a"],
      ],
    ],
  ])("with %s is refused", async (_what, parts) => {
    const answer = await send(...parts);
    expect([answer.status, answer.json["code"]]).toEqual([400, "invalid_request"]);
    expect((await files("exists", { path: "/late" })).json).toEqual({ exists: false });
  });

  it("is a form", async () => {
    const answer = await api.ask("POST", `/v1/machines/${id}/files/batch-write`, { body: {} });
    expect(told(answer)).toEqual([415, "invalid_request"]);
  });
});

describe("a signed address", () => {
  const sign = async (name: "download-url" | "upload-url", path: string): Promise<string> =>
    String((await files(name, { path })).json["url"]);

  it("needs no key, and is good for its file and its verb only", async () => {
    const up = await sign("upload-url", "/signed/file");
    expect((await fetch(up, { method: "PUT", body: "by address" })).status).toBe(204);
    const down = await sign("download-url", "/signed/file");
    expect(await (await fetch(down)).text()).toBe("by address");
    const other = await api.machine();
    for (const [url, method] of [
      [down, "PUT"],
      [up, "GET"],
      [down.replace("grant=", "grant=x"), "GET"],
      [down.slice(0, -2), "GET"],
      [down.replace(id, other), "GET"],
      [down.replace("signed-file", "file"), "GET"],
    ] as const) {
      const answer = await fetch(url, { method });
      expect([url, answer.status]).toEqual([url, 401]);
      expect(await answer.json()).toMatchObject({ code: "unauthorized" });
    }
    expect((await fetch(down.split("?")[0] ?? "")).status).toBe(400);
    await eventually("it is logged, without its grant", async () => {
      const log = readFileSync(statePaths(local.stateDir).log, "utf8");
      return log.includes("signed-file?grant=...");
    });
    expect(readFileSync(statePaths(local.stateDir).log, "utf8")).not.toContain(down.split("grant=")[1]);
  });
});

it("a machine that sleeps is woken by its files where its lease says so, and else is not ready", async () => {
  const sleeper = await api.machine({ auto_resume: true, timeout_action: "hibernate" });
  const still = await api.machine();
  for (const machine of [sleeper, still]) {
    await files("write", { path: "/root/kept", content: "kept" }, machine);
    await api.ask("POST", `/v1/machines/${machine}/hibernate`);
  }
  const { json } = await files("read", { path: "/root/kept" }, sleeper);
  expect(json["content"]).toBe("kept");
  expect(await api.statusOf(sleeper)).toBe("running");
  await api.ask("POST", `/v1/machines/${sleeper}/hibernate`);
  expect((await api.raw("GET", filePath(sleeper, "/root/kept"))).bytes.toString()).toBe("kept");
  expect(told(await files("read", { path: "/root/kept" }, still))).toEqual([409, "machine_not_ready"]);
  expect((await api.raw("PUT", filePath(still, "/root/kept"), "x")).json["code"]).toBe("machine_not_ready");
  await api.ask("DELETE", `/v1/machines/${still}`);
  expect(told(await files("read", { path: "/root/kept" }, still))).toEqual([404, "machine_not_found"]);
});

it("a large file goes through in bounded memory, both ways, also when its reader is slow", async () => {
  const chunk = randomBytes(1_048_576);
  const chunks = 96;
  // Only what is really held counts, not what has not been collected yet.
  setFlagsFromString("--expose-gc");
  const collect = runInNewContext("gc") as () => void;
  const held = (): number => {
    collect();
    return process.memoryUsage().arrayBuffers;
  };
  const before = held();
  let most = 0;
  async function* content(): AsyncGenerator<Buffer, void> {
    for (let n = 0; n < chunks; n++) {
      if (n % 12 === 11) most = Math.max(most, held());
      // Each is another buffer: what is kept of them is seen.
      yield Buffer.from(chunk);
      await sleep(0);
    }
  }
  expect(await api.stream("PUT", filePath(id, "/large"), content())).toBe(204);
  const answer = await fetch(local.nullspace + filePath(id, "/large"), {
    headers: { authorization: `Bearer ${local.apiKey}` },
  });
  let bytes = 0;
  let next = 0;
  for await (const piece of answer.body as unknown as AsyncIterable<Uint8Array>) {
    bytes += piece.length;
    if (bytes < next) continue;
    // The sender could be far ahead by now.
    await sleep(50);
    most = Math.max(most, held());
    next += 12_000_000;
  }
  expect(bytes).toBe(chunks * chunk.length);
  // Much less than the file: the client here has its own buffers, too.
  expect(most - before).toBeLessThan(64 * 1_048_576);
  await files("remove", { path: "/large" });
});

it("nothing of all this was an error that nobody foresaw", () => {
  const log = readFileSync(statePaths(local.stateDir).log, "utf8");
  const errors = log.split("\n").filter((line) => /"level":(50|60)|unexpected/.test(line));
  expect(errors).toEqual([]);
});
