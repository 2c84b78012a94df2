/** Uploads in parts on a real machine. */
import { execFileSync } from "node:child_process";
import { randomBytes } from "node:crypto";
import { mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { CreateUpload } from "../../../local/src/dialects/nullspace/file-requests";
import { Staging } from "../../../local/src/dialects/nullspace/file-staging";
import { Uploads, uploadLifetimeMs } from "../../../local/src/dialects/nullspace/file-uploads";
import { type Local, startLocal } from "../../../local/src/start-local";
import { newKey, told } from "./control-plane";
import { FilesApi, reasonOf, sha256 } from "./files-api";

const partBytes = 8 * 1_048_576;
const stateDir = mkdtempSync(join(tmpdir(), "nullspace-uploads-"));
const folder = mkdtempSync(join(tmpdir(), "nullspace-archives-"));
let local: Local;
let api: FilesApi;
let id: string;
beforeAll(async () => {
  local = await startLocal({ stateDir, port: 0 });
  api = new FilesApi(local);
  id = await api.machine({ memory_mb: 512 });
});
afterAll(async () => {
  await api.ask("DELETE", `/v1/machines/${id}`);
  await local.close();
  for (const made of [stateDir, folder]) rmSync(made, { recursive: true, force: true });
});

const at = (upload: Record<string, unknown>, below = ""): string =>
  `/v1/machines/${id}/uploads/${String(upload["upload_id"])}${below}`;
const complete = (upload: Record<string, unknown>, body?: Record<string, unknown>, key = newKey()) =>
  api.ask("POST", at(upload, "/complete"), { key, ...(body === undefined ? {} : { body }) });
const stateOf = async (upload: Record<string, unknown>) => (await api.ask("GET", at(upload))).json;
const staged = (upload: Record<string, unknown>): string[] =>
  readdirSync(join(stateDir, "uploads", String(upload["upload_id"])));

const large = randomBytes(2 * partBytes + 5);
const partOf = (n: number): Buffer => large.subarray(n * partBytes, (n + 1) * partBytes);

it("parts come in any order and twice, and are published as one", async () => {
  const upload = await api.upload(id, { target_path: "/up/large", content_length: large.length });
  expect(upload).toMatchObject({ status: "created", part_count: 3, part_size: partBytes, next_part: 0 });
  await api.part(id, upload["upload_id"], 2, partOf(2), { "x-nullspace-part-sha256": sha256(partOf(2)) });
  await api.part(id, upload["upload_id"], 0, Buffer.alloc(partBytes));
  const { json } = await api.part(id, upload["upload_id"], 0, partOf(0));
  expect(json).toMatchObject({ status: "uploading", accepted_bytes: partBytes + 5, next_part: 1 });
  const early = await complete(upload);
  expect([early.status, reasonOf(early)]).toEqual([409, "missing_parts"]);
  expect(early.json["error_detail"]).toMatchObject({ details: { missing_parts: [1] } });
  expect((await api.part(id, upload["upload_id"], 1, partOf(1))).json["status"]).toBe("staged");
  const wrong = await complete(upload, { whole_checksum_sha256: "0".repeat(64) });
  expect([wrong.status, reasonOf(wrong)]).toEqual([400, "whole_checksum_mismatch"]);
  expect(await api.sh(id, "ls -A /up 2>/dev/null")).toBe("");

  const key = newKey();
  const sum = { whole_checksum_sha256: sha256(large) };
  const [one, same] = await Promise.all([complete(upload, sum, key), complete(upload, sum, key)]);
  expect(one.json).toMatchObject({ published_bytes: large.length, published_file_count: 1 });
  expect(same.json).toEqual(one.json);
  expect((await complete(upload, sum, key)).json).toEqual(one.json);
  expect(reasonOf(await complete(upload, sum))).toBe("upload_already_completed");
  expect(reasonOf(await api.part(id, upload["upload_id"], 0, partOf(0)))).toBe("upload_already_completed");
  expect(reasonOf(await api.ask("DELETE", at(upload)))).toBe("upload_already_completed");
  expect((await api.sh(id, "sha256sum < /up/large")).slice(0, 64)).toBe(sha256(large));
  expect(staged(upload)).toEqual(["session.json"]);
});

it("a part that is not what it should be is refused, and can be sent again", async () => {
  const upload = await api.upload(id, { target_path: "/up/part", content_length: 10 });
  const part = (n: number | string, text: string, sum?: string) =>
    api.part(
      id,
      upload["upload_id"],
      n,
      Buffer.from(text),
      sum === undefined ? {} : { "x-nullspace-part-sha256": sum },
    );
  expect(reasonOf(await part(0, "too short"))).toBe("part_size_mismatch");
  expect(reasonOf(await part(0, "far too long"))).toBe("part_size_mismatch");
  for (const number of [1, 99_999, "-1", "x", "0x0"]) {
    expect(reasonOf(await part(number, "0123456789"))).toBe("part_out_of_range");
  }
  expect(reasonOf(await part(0, "0123456789", "a".repeat(64)))).toBe("invalid_part_checksum");
  expect((await part(0, "0123456789", "short")).json["code"]).toBe("invalid_request");
  expect(staged(upload)).toEqual(["session.json"]);
  await api.cut("PUT", at(upload, "/parts/0"), { "content-length": "10" }, "01234");
  expect((await stateOf(upload))["accepted_bytes"]).toBe(0);
  await part(0, "0123456789", sha256(Buffer.from("0123456789")));
  expect((await complete(upload)).status).toBe(200);
  expect(await api.sh(id, "cat /up/part")).toBe("0123456789");
});

it("a chunked part that goes on for too long is refused", async () => {
  const upload = await api.upload(id, { target_path: "/up/chunked", content_length: 10 });
  async function* chunks(): AsyncGenerator<Buffer, void> {
    for (let n = 0; n < 100; n++) {
      await Promise.resolve();
      yield Buffer.alloc(10_000);
    }
  }
  expect(reasonOf(await api.raw("PUT", at(upload, "/parts/0"), chunks()))).toBe("part_size_mismatch");
  expect(staged(upload)).toEqual(["session.json"]);
});

it("nothing of an upload that was given up stays", async () => {
  const upload = await api.upload(id, { target_path: "/up/aborted", content_length: 3 });
  await api.part(id, upload["upload_id"], 0, Buffer.from("abc"));
  expect((await api.ask("DELETE", at(upload))).status).toBe(204);
  expect((await api.ask("DELETE", at(upload))).status).toBe(204);
  expect(await stateOf(upload)).toMatchObject({ status: "aborted", reserved_staging_bytes: 0 });
  expect(reasonOf(await complete(upload))).toBe("upload_aborted");
  expect(reasonOf(await api.part(id, upload["upload_id"], 0, Buffer.from("abc")))).toBe("upload_aborted");
  expect(staged(upload)).toEqual(["session.json"]);
  expect(await api.sh(id, "ls /up/aborted 2>/dev/null")).toBe("");
});

it("a create is made once for its key", async () => {
  const key = newKey();
  const asked = { target_path: "/up/once", content_length: 1 };
  const [first, second] = await Promise.all([api.upload(id, asked, key), api.upload(id, asked, key)]);
  expect(second["upload_id"]).toBe(first["upload_id"]);
  await expect(api.upload(id, { ...asked, content_length: 2 }, key)).rejects.toThrow('"conflict"');
  const other = await api.machine();
  expect((await api.upload(other, asked, key))["upload_id"]).not.toBe(first["upload_id"]);
  const foreign = await api.ask("GET", at(first).replace(id, other));
  expect(told(foreign)).toEqual([404, "not_found"]);
  await api.ask("DELETE", `/v1/machines/${other}`);
  const keyless = await api.ask("POST", `/v1/machines/${id}/uploads`, { key: null, body: {} });
  expect(keyless.status).toBe(400);
});

it("an upload of no bytes has no parts", async () => {
  const upload = await api.upload(id, { target_path: "/up/empty", content_length: 0 });
  expect(upload).toMatchObject({ part_count: 0, status: "staged" });
  expect((await complete(upload)).json).toMatchObject({ published_bytes: 0 });
  expect(await api.sh(id, "stat -c %s /up/empty")).toBe("0\n");
});

it("what cannot be staged, or is there already, is refused at the beginning", async () => {
  const refused = async (fields: Record<string, unknown>) =>
    api.upload(id, { target_path: "/etc/passwd", content_length: 1, ...fields }).then(
      () => undefined,
      (error: unknown) =>
        (JSON.parse((error as Error).message) as { error_detail?: { reason: string } }).error_detail?.reason,
    );
  expect(await refused({ conflict: "error" })).toBe("target_conflict");
  expect(await refused({ content_length: 1e12 })).toBe("size_limit_exceeded");
  const half = 32 * 1024 * 1_048_576;
  expect(["insufficient_staging_space", undefined]).toContain(await refused({ content_length: half }));
  expect(await refused({ content_length: half })).toMatch(/insufficient_staging_space|undefined/);
  for (const fields of [
    { content_length: -1 },
    { content_length: 0.5 },
    { target_path: "" },
    { kind: "directory_tar" },
    { source_kind: "directory_archive" },
    { checksum_algorithm: "md5" },
    { whole_checksum_sha256: "abc" },
    { archive_format: "tar" },
  ]) {
    await expect(api.upload(id, { target_path: "/x", content_length: 1, ...fields })).rejects.toThrow(
      "invalid_request",
    );
  }
});

describe("an archive", () => {
  const tree = { kind: "directory_tar", source_kind: "directory_archive", archive_format: "tar" };
  const send = async (archive: Buffer, fields: Record<string, unknown> = {}) => {
    const upload = await api.upload(id, {
      ...tree,
      target_path: "/tree",
      content_length: archive.length,
      ...fields,
    });
    await api.part(id, upload["upload_id"], 0, archive);
    return complete(upload);
  };
  const pack = (script: string, args: string[]): Buffer => {
    execFileSync("sh", ["-c", `rm -rf ./* && ${script}`], { cwd: folder });
    return execFileSync("tar", ["-cPf", "-", ...args], { cwd: folder });
  };

  it("is unpacked", async () => {
    const answer = await send(pack("mkdir a && echo x >a/x && ln -s x a/link", ["a"]));
    expect(answer.json).toMatchObject({ published_file_count: 2, published_bytes: 2 });
    expect(await api.sh(id, "cat /tree/a/link")).toBe("x\n");
  });

  it.each<[string, string, () => Buffer]>([
    [
      "leads out of its folder",
      "directory_extract_invalid_path",
      () => pack("echo x >x", ["--transform=s,^,../,", "x"]),
    ],
    [
      "is absolute",
      "directory_extract_invalid_path",
      () => pack("echo x >x", ["--transform=s,^,/etc/,", "x"]),
    ],
    ["links out of its folder", "directory_extract_invalid_symlink", () => pack("ln -s ../../etc x", ["x"])],
    ["holds a pipe", "directory_extract_unsupported_entry", () => pack("mkfifo x", ["x"])],
    ["is no archive", "directory_extract_unsupported_entry", () => randomBytes(2048)],
  ])("that %s is refused, and nothing of it is left", async (_what, reason, archive) => {
    const answer = await send(archive(), { target_path: "/refused" });
    expect([answer.status, reasonOf(answer)]).toEqual([400, reason]);
    expect(await api.sh(id, "ls -A / | grep -e refused -e draft")).toBe("");
  });
});

it("what was sent survives a stop of the control plane", async () => {
  const asked = { target_path: "/up/resumed", content_length: large.length };
  const key = newKey();
  const upload = await api.upload(id, asked, key);
  await api.part(id, upload["upload_id"], 0, partOf(0));
  await local.close();
  local = await startLocal({ stateDir, port: 0 });
  api = new FilesApi(local);
  if ((await api.statusOf(id)) === "paused") await api.ask("POST", `/v1/machines/${id}/resume`);
  expect((await api.upload(id, asked, key))["upload_id"]).toBe(upload["upload_id"]);
  expect(await stateOf(upload)).toMatchObject({
    status: "uploading",
    accepted_bytes: partBytes,
    next_part: 1,
  });
  for (const n of [1, 2]) await api.part(id, upload["upload_id"], n, partOf(n));
  expect((await complete(upload)).json).toMatchObject({ published_bytes: large.length });
});

it("an upload expires after a day, is forgotten after another, and goes with its machine", async () => {
  let now = Date.parse("2026-01-01T00:00:00Z");
  const staging = mkdtempSync(join(folder, "staging-"));
  const uploads = new Uploads(
    local.controlPlane,
    new Staging(staging),
    (error) => {
      throw error as Error;
    },
    () => now,
  );
  await uploads.load();
  const asked: CreateUpload = {
    kind: "file",
    source_kind: "spooled_stream",
    conflict: "replace",
    checksum_algorithm: "sha256",
    target_path: "/x",
    content_length: 1,
  };
  const make = async (machine: string) =>
    uploads.create(machine, asked, { scope: "n", key: newKey(), requestHash: "" }, AbortSignal.timeout(5000));
  const other = (await api.machine()).slice(4);
  const session = await make(id.slice(4));
  await make(other);
  now += uploadLifetimeMs;
  await uploads.sweep();
  expect(session.status).toBe("expired");
  await expect(uploads.complete(session, "k", undefined, AbortSignal.timeout(5000))).rejects.toMatchObject({
    ...{ status: 410, options: { upload: { reason: "upload_expired" } } },
  });
  await api.ask("DELETE", `/v1/machines/mch_${other}`);
  await uploads.sweep();
  expect(readdirSync(staging)).toEqual([session.id]);
  now += uploadLifetimeMs + 1;
  await uploads.sweep();
  expect(readdirSync(staging)).toEqual([]);
  uploads.close();
});
