import { createHash, randomBytes } from "node:crypto";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import fc from "fast-check";
import { inParts } from "../../../sdk/src/nullspace/file-source";
import type { NullspaceClient } from "../../../sdk/src/nullspace/client";
import type { TransferProgress } from "../../../sdk/src/nullspace/files";
import { sendJson } from "../loopback";
import { clientTo, closeAll, failureOf, serve, serveRaw } from "./client-to";

const open: (() => Promise<void>)[] = [];
afterEach(async () => {
  await closeAll();
  for (const close of open.splice(0)) await close();
});

const sha256 = (bytes: Uint8Array): string => createHash("sha256").update(bytes).digest("hex");
const info = {
  name: "a",
  path: "/a",
  is_dir: false,
  size: 3,
  type: "file",
  mode: "0644",
  modified_time: "2026-05-12T00:00:00Z",
};

/** A service that keeps files and uploads in memory, and that fails as it is told to. */
class FileService {
  files = new Map<string, Buffer>();
  calls: string[] = [];
  keys: (string | undefined)[] = [];
  uploads = new Map<string, { path: string; length: number; parts: Map<number, Buffer>; status: string }>();
  partSize = 1_000_000;
  maxConcurrency = 3;
  /** Called before a request is answered; true when it has answered. */
  trouble: (request: IncomingMessage, response: ServerResponse, body: Buffer) => boolean | Promise<boolean> =
    () => false;

  async answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const url = new URL(request.url ?? "", "http://h");
    const method = request.method ?? "";
    this.calls.push(`${method} ${url.pathname.replace("/v1/machines/mch_one", "")}`);
    this.keys.push(request.headers["idempotency-key"] as string | undefined);
    const chunks: Buffer[] = [];
    try {
      for await (const chunk of request as AsyncIterable<Buffer>) chunks.push(chunk);
    } catch {
      return; // The client gave it up.
    }
    const body = Buffer.concat(chunks);
    if (await this.trouble(request, response, body)) return;
    const path = url.searchParams.get("path") ?? "";
    if (url.pathname.endsWith("/file") && method === "PUT") {
      this.files.set(path, body);
      response.writeHead(204).end();
    } else if (url.pathname.endsWith("/file")) {
      const found = this.files.get(path);
      if (found) response.writeHead(200, { "content-length": found.length }).end(found);
      else sendJson(response, 404, { error: "no such file", code: "not_found" });
    } else this.upload(method, url.pathname.split("/uploads")[1] ?? "", request, response, body);
  }

  private upload(
    method: string,
    below: string,
    request: IncomingMessage,
    response: ServerResponse,
    body: Buffer,
  ): void {
    if (below === "") {
      const asked = JSON.parse(body.toString()) as { target_path: string; content_length: number };
      const id = String(this.uploads.size + 1);
      this.uploads.set(id, {
        path: asked.target_path,
        length: asked.content_length,
        parts: new Map(),
        status: "created",
      });
      sendJson(response, 200, { session: this.session(id) });
      return;
    }
    const [, id = "", what, number] = below.split("/");
    const upload = this.uploads.get(id);
    if (!upload) throw new Error(`no upload ${id}`);
    if (method === "DELETE") {
      upload.status = "aborted";
      response.writeHead(204).end();
    } else if (what === "parts") {
      if (request.headers["x-nullspace-part-sha256"] !== sha256(body)) throw new Error("wrong checksum");
      upload.parts.set(Number(number), body);
      sendJson(response, 200, this.session(id));
    } else if (what === "complete") {
      const whole = Buffer.concat([...upload.parts].sort(([a], [b]) => a - b).map(([, part]) => part));
      const asked = JSON.parse(body.toString()) as { whole_checksum_sha256: string };
      if (asked.whole_checksum_sha256 !== sha256(whole)) throw new Error("wrong checksum of the whole");
      this.files.set(upload.path, whole);
      upload.status = "completed";
      sendJson(response, 200, {
        session: this.session(id),
        published_bytes: whole.length,
        published_file_count: 1,
      });
    } else sendJson(response, 200, this.session(id));
  }

  private session(id: string) {
    const upload = this.uploads.get(id);
    return {
      upload_id: id,
      status: upload?.status ?? "",
      target_path: upload?.path ?? "",
      content_length: upload?.length ?? 0,
      accepted_bytes: [...(upload?.parts.values() ?? [])].reduce((sum, part) => sum + part.length, 0),
      part_size: this.partSize,
      part_count: Math.ceil((upload?.length ?? 0) / this.partSize),
      max_concurrency: this.maxConcurrency,
    };
  }
}

async function service(): Promise<{ files: FileService; client: NullspaceClient; waits: number[] }> {
  const files = new FileService();
  const server = createServer((request, response) => void files.answer(request, response));
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as AddressInfo;
  open.push(
    () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  );
  const { client, deps } = clientTo(`http://127.0.0.1:${String(port)}`);
  return { files, client, waits: deps.waits };
}

async function* streamOf(...chunks: Uint8Array[]): AsyncGenerator<Uint8Array, void> {
  for (const chunk of chunks) {
    await Promise.resolve();
    yield chunk;
  }
}

describe("small calls", () => {
  test("go where the contract says, without a key, and with the account that was asked for", async () => {
    const { client, server } = await serve((response, { url }) => {
      const below = url.split("?")[0]?.split("/").at(-1) ?? "";
      if (below === "files") return sendJson(response, 200, [info]);
      if (below === "exists") return sendJson(response, 200, { exists: true });
      if (below === "find") return sendJson(response, 200, [{ file: "/a", line: 2, content: "x" }]);
      if (below === "search") return sendJson(response, 200, ["/a"]);
      if (below === "replace")
        return sendJson(response, 200, {
          replacements: 4,
          files_modified: 3,
          files_skipped: 2,
          binary_files_skipped: 1,
        });
      if (below.endsWith("-url")) return sendJson(response, 200, { url: "http://x", token: "t" });
      if (below === "info" || below === "rename") return sendJson(response, 200, info);
      return response.writeHead(204).end();
    });
    const { files } = client;
    const expected = { name: "a", isDir: false, size: 3, type: "file", mode: "0644" };
    expect(await files.list("mch_one", "/d e", { depth: 2, user: "me" })).toMatchObject([expected]);
    expect(await files.stat("mch_one", "/a")).toMatchObject({ ...expected, raw: info });
    expect(await files.exists("mch_one", "/a")).toBe(true);
    await files.remove("mch_one", "/a", { user: "me" });
    await files.rename("mch_one", "/a", "/b");
    await files.mkdir("mch_one", "/d");
    await files.setPermissions("mch_one", "/a", "0600");
    expect(await files.find("mch_one", "/", "x+")).toEqual([{ file: "/a", line: 2, content: "x" }]);
    expect(await files.search("mch_one", "/", "*.ts")).toEqual(["/a"]);
    expect(await files.replace("mch_one", ["/a"], { pattern: "a", replacement: "b" })).toEqual({
      replacements: 4,
      filesModified: 3,
      filesSkipped: 2,
      binaryFilesSkipped: 1,
    });
    expect(await files.downloadUrl("mch_one", "/a")).toBe("http://x");
    expect(await files.uploadUrl("mch_one", "/a")).toEqual({ url: "http://x", token: "t" });
    expect(server.seen.map(({ method, url, body }) => [method, url.split("mch_one/")[1], body])).toEqual([
      ["GET", "files?path=%2Fd+e&depth=2&user=me", ""],
      ["POST", "files/info", '{"path":"/a"}'],
      ["POST", "files/exists", '{"path":"/a"}'],
      ["POST", "files/remove", '{"path":"/a","user":"me"}'],
      ["POST", "files/rename", '{"old_path":"/a","new_path":"/b"}'],
      ["POST", "files/mkdir", '{"path":"/d"}'],
      ["POST", "files/permissions", '{"path":"/a","permissions":"0600"}'],
      ["POST", "files/find", '{"path":"/","pattern":"x+"}'],
      ["POST", "files/search", '{"path":"/","pattern":"*.ts"}'],
      ["POST", "files/replace", '{"files":["/a"],"pattern":"a","replacement":"b"}'],
      ["POST", "files/download-url", '{"path":"/a"}'],
      ["POST", "files/upload-url", '{"path":"/a"}'],
    ]);
    expect(server.seen.every(({ headers }) => headers["idempotency-key"] === undefined)).toBe(true);
  });

  test.each<[string, (client: NullspaceClient) => Promise<unknown>]>([
    ["an empty path", (client) => client.files.stat("mch_one", "")],
    ["a path with a NUL", (client) => client.files.write("mch_one", "a\0b", "x")],
    ["a depth below one", (client) => client.files.list("mch_one", "/", { depth: 0 })],
  ])("%s is refused", async (_name, call) => {
    const { client } = clientTo("http://127.0.0.1:9");
    expect(await failureOf(call(client))).toMatchObject({ code: "invalid_argument" });
  });
});

describe("reading", () => {
  test("gives text, bytes or a stream, with progress", async () => {
    const { files, client } = await service();
    const content = randomBytes(300_000);
    files.files.set("/b", content).set("/t", Buffer.from("\uFEFFgrüße")).set("/empty", Buffer.alloc(0));
    const told: TransferProgress[] = [];
    const onProgress = (progress: TransferProgress) => void told.push(progress);
    expect((await client.files.readBytes("mch_one", "/b", { onProgress })).equals(content)).toBe(true);
    expect(told.at(-1)).toEqual({ bytes: 300_000, totalBytes: 300_000 });
    expect(await client.files.read("mch_one", "/t")).toBe("\uFEFFgrüße");
    expect(await client.files.read("mch_one", "/empty", { onProgress })).toBe("");
    expect(told.at(-1)).toEqual({ bytes: 0, totalBytes: 0 });
    const stream = await client.files.readStream("mch_one", "/b");
    expect(stream.sizeBytes).toBe(300_000);
    stream.close();
  });

  test("refuses what is no text, more than fits, and a file that is not there", async () => {
    const { files, client } = await service();
    files.files.set("/b", Buffer.from([0xff, 0xfe]));
    expect(await failureOf(client.files.read("mch_one", "/b"))).toMatchObject({ code: "not_text" });
    expect(await failureOf(client.files.readBytes("mch_one", "/b", { maxBytes: 1 }))).toMatchObject({
      code: "file_too_large",
    });
    expect(await failureOf(client.files.readStream("mch_one", "/no"))).toMatchObject({
      name: "NotFoundError",
    });
  });

  test.each([
    ["of known length", "HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nhalf"],
    ["in chunks", "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n4\r\nhalf\r\n"],
  ])("a file %s that is cut is an error, after what came", async (_name, bytes) => {
    const { client } = await serveRaw((socket) => socket.write(bytes, () => socket.end()));
    const seen: string[] = [];
    const error = await failureOf(
      (async () => {
        for await (const chunk of await client.files.readStream("mch_one", "/a")) seen.push(chunk.toString());
      })(),
    );
    expect(error).toMatchObject({ code: "connection_lost", machineId: "mch_one" });
    expect(seen.join("")).toBe("half");
  });

  test("ends with the caller's reason when it is aborted, or with what onProgress throws", async () => {
    const { client } = await serveRaw((socket) => {
      socket.write("HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nhalf");
    });
    const stop = new AbortController();
    const read = client.files.readBytes("mch_one", "/a", {
      signal: stop.signal,
      onProgress: () => stop.abort(new Error("enough")),
    });
    await expect(read).rejects.toThrow("enough");
    const thrown = client.files.readBytes("mch_one", "/a", {
      onProgress: () => {
        throw new Error("mine");
      },
    });
    await expect(thrown).rejects.toThrow("mine");
  });
});

describe("writing", () => {
  test("little goes in one request, with its length", async () => {
    const { files, client } = await service();
    const told: TransferProgress[] = [];
    const onProgress = (progress: TransferProgress) => void told.push(progress);
    expect(await client.files.write("mch_one", "/a b", "grüße", { onProgress })).toEqual({ bytes: 7 });
    expect(files.files.get("/a b")?.toString()).toBe("grüße");
    expect(told).toEqual([{ bytes: 7, totalBytes: 7 }]);
    expect(await client.files.write("mch_one", "/e", "")).toEqual({ bytes: 0 });
    expect(files.calls).toEqual(["PUT /file", "PUT /file"]);
  });

  test("a stream without a length goes as it comes, with progress and without a second try", async () => {
    const { files, client } = await service();
    const told: number[] = [];
    const written = await client.files.write("mch_one", "/s", streamOf(Buffer.from("ab"), Buffer.from("c")), {
      onProgress: ({ bytes }) => told.push(bytes),
    });
    expect(written).toEqual({ bytes: 3 });
    expect(files.files.get("/s")?.toString()).toBe("abc");
    expect(told).toEqual([2, 3, 3]);
    files.trouble = (_request, response) =>
      Boolean(sendJson(response, 503, { error: "e", code: "c" }) ?? true);
    expect(await failureOf(client.files.write("mch_one", "/s", streamOf(Buffer.from("x"))))).toMatchObject({
      status: 503,
    });
    expect(files.calls).toHaveLength(2);
  });

  test("much goes in parts, some at once, each with its checksum, and the whole has one", async () => {
    const { files, client } = await service();
    const content = randomBytes(9_500_000);
    const folder = mkdtempSync(join(tmpdir(), "nullspace-files-"));
    open.push(async () => Promise.resolve(rmSync(folder, { recursive: true })));
    writeFileSync(join(folder, "big"), content);
    const told: TransferProgress[] = [];
    // The first parts are answered only when as many as may be are there.
    let waiting = 0;
    const full = Promise.withResolvers<undefined>();
    files.trouble = async (request) => {
      if (!request.url?.includes("/parts/")) return false;
      if (++waiting === files.maxConcurrency) full.resolve(undefined);
      await full.promise;
      return false;
    };
    const written = await client.files.write(
      "mch_one",
      "/big",
      { file: join(folder, "big") },
      {
        onProgress: (progress) => told.push(progress),
        idempotencyKey: "mine",
      },
    );
    expect(written).toEqual({ bytes: content.length });
    expect(files.files.get("/big")?.equals(content)).toBe(true);
    expect(told).toHaveLength(10);
    expect(told.at(-1)).toEqual({ bytes: content.length, totalBytes: content.length });
    expect(files.keys.filter((key) => key !== undefined)).toEqual(["mine", "mine.complete"]);
    const stream = streamOf(content.subarray(0, 5_000_001), content.subarray(5_000_001));
    await client.files.write("mch_one", "/two", { stream, sizeBytes: content.length });
    expect(files.files.get("/two")?.equals(content)).toBe(true);
  });

  test("a part, a create and a complete that get lost are sent again", async () => {
    const { files, client, waits } = await service();
    const lost = new Set<string>();
    files.trouble = (request, response) => {
      const once = `${request.method ?? ""} ${request.url ?? ""}`;
      if (lost.has(once)) return false;
      lost.add(once);
      if (lost.size % 2) request.socket.destroy();
      else sendJson(response, 503, { error: "e", code: "internal_error" });
      return true;
    };
    const content = randomBytes(8_500_000);
    await client.files.write("mch_one", "/big", content);
    expect(files.files.get("/big")?.equals(content)).toBe(true);
    expect(waits).toHaveLength(11);
    expect(new Set(files.keys.filter((key) => key !== undefined)).size).toBe(2);
  });

  test("a complete that was done but not heard of is a success", async () => {
    const { files, client } = await service();
    files.trouble = (request, response) => {
      const upload = files.uploads.get("1");
      if (!request.url?.endsWith("/complete") || !upload) return false;
      upload.status = "completed";
      sendJson(response, 409, {
        error: "done",
        code: "file_upload_error",
        error_detail: { reason: "upload_already_completed", message: "done", retryable: false },
      });
      return true;
    };
    expect(await client.files.write("mch_one", "/big", randomBytes(8_500_000))).toEqual({ bytes: 8_500_000 });
  });

  test("a part that is refused gives the upload up and tells why", async () => {
    const { files, client } = await service();
    files.trouble = (request, response) => {
      if (!request.url?.endsWith("/parts/3")) return false;
      sendJson(response, 400, {
        error: "bad part",
        code: "file_upload_error",
        error_detail: { reason: "invalid_part_checksum", message: "bad", retryable: false },
      });
      return true;
    };
    expect(await failureOf(client.files.write("mch_one", "/big", randomBytes(9_500_000)))).toMatchObject({
      name: "FileUploadError",
      details: { reason: "invalid_part_checksum" },
    });
    expect(files.uploads.get("1")?.status).toBe("aborted");
    expect(files.files.size).toBe(0);
  });

  test("an abort ends it with the caller's reason and leaves nothing", async () => {
    const { files, client } = await service();
    const stop = new AbortController();
    const write = client.files.write("mch_one", "/big", randomBytes(9_500_000), {
      signal: stop.signal,
      onProgress: () => stop.abort(new Error("enough")),
    });
    await expect(write).rejects.toThrow("enough");
    expect(files.uploads.get("1")?.status).toBe("aborted");
  });

  test.each([
    ["ends early", 9_000_000],
    ["goes on", 9_000_002],
  ])("a stream that %s is an error, and nothing is published", async (_name, actual) => {
    const { files, client } = await service();
    const source = { stream: streamOf(Buffer.alloc(actual)), sizeBytes: 9_000_001 };
    const error = await failureOf(client.files.write("mch_one", "/big", source));
    expect(error).toMatchObject({ name: "UsageError", code: "unreadable_source" });
    expect(files.files.size).toBe(0);
    expect(files.uploads.get("1")?.status).toBe("aborted");
  });

  test.each([false, true])("a source that breaks is told as such (known length: %s)", async (known) => {
    const { client } = await service();
    async function* broken(): AsyncGenerator<Uint8Array, void> {
      await Promise.resolve();
      yield Buffer.alloc(1_500_000);
      throw Object.assign(new Error("disk on fire"), { code: "ECONNRESET" });
    }
    const source = known ? { stream: broken(), sizeBytes: 9_000_000 } : broken();
    const error = await failureOf(client.files.write("mch_one", "/big", source));
    expect(error).toMatchObject({ code: "unreadable_source" });
    expect(error.message).toContain("disk on fire");
  });

  test("a file that is not there, or is a folder, is refused before anything is sent", async () => {
    const { files, client } = await service();
    for (const file of ["/no/such/file", tmpdir()]) {
      expect(await failureOf(client.files.write("mch_one", "/x", { file }))).toMatchObject({
        code: "unreadable_source",
      });
    }
    expect(files.calls).toEqual([]);
  });

  test("an archive goes as an upload of its own kind", async () => {
    const { files, client } = await service();
    let asked: unknown;
    files.trouble = (request, _response, body) => {
      if (request.url?.endsWith("/uploads")) asked = JSON.parse(body.toString());
      return false;
    };
    const done = await client.files.unpack("mch_one", "/d", Buffer.alloc(10_240), { user: "me" });
    expect(done).toEqual({ bytes: 10_240, files: 1 });
    expect(asked).toEqual({
      kind: "directory_tar",
      source_kind: "directory_archive",
      target_path: "/d",
      content_length: 10_240,
      conflict: "merge",
      checksum_algorithm: "sha256",
      user: "me",
      archive_format: "tar",
    });
  });
});

test("any chunks in parts of any size are the same bytes", async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.uint8Array({ maxLength: 20 }), { maxLength: 10 }),
      fc.integer({ min: 1, max: 15 }),
      async (chunks, size) => {
        const parts: Buffer[] = [];
        for await (const part of inParts(streamOf(...chunks), size)) parts.push(part);
        expect(Buffer.concat(parts).equals(Buffer.concat(chunks))).toBe(true);
        expect(parts.slice(0, -1).every((part) => part.length === size)).toBe(true);
        expect(parts.every((part) => part.length > 0 && part.length <= size)).toBe(true);
      },
    ),
  );
});
