/** The vendor's own Nullspace client and command line, unchanged, against a real control plane with real machines. */
import { execFile } from "node:child_process";
import { createHmac } from "node:crypto";
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { type Local, startLocal } from "../../local/src/start-local";
import { pythonWithClients } from "./python-environment";

const run = promisify(execFile);
const setUpMs = 300_000;

type Failure = { kind: string; code: string; message: string } | null;
interface EventFacts {
  id: string;
  operation: string;
  status: string;
  machine_id: string | null;
  snapshot_id: string | null;
  source_machine_id: string | null;
  target_machine_id: string | null;
}
interface Seen extends Record<string, unknown> {
  created: Record<string, unknown>;
  fork_event: EventFacts[];
  fork_ids: [string, string];
  history: [string, string][];
  snapshot_events: EventFacts[];
  subscribed: EventFacts;
}

describe("the official nullspace-sdk for Python", () => {
  const stateDir = mkdtempSync(join(tmpdir(), "machines-nullspace-"));
  const hooks: { body: string; signature: string | undefined }[] = [];
  const receiver = createServer((request, response) => {
    const chunks: Buffer[] = [];
    request.on("data", (chunk: Buffer) => chunks.push(chunk));
    request.on("end", () => {
      const signature = request.headers["x-nullspace-signature"];
      hooks.push({
        body: Buffer.concat(chunks).toString(),
        signature: typeof signature === "string" ? signature : undefined,
      });
      response.writeHead(204).end();
    });
  });
  let local: Local;
  let python: string;
  let seen: Seen;
  let env: NodeJS.ProcessEnv;

  beforeAll(async () => {
    python = await pythonWithClients();
    local = await startLocal({ stateDir, port: 0, allowHttpWebhooks: true });
    receiver.listen(0, "127.0.0.1");
    await once(receiver, "listening");
    env = {
      PATH: process.env["PATH"],
      // No settings of the user's own.
      HOME: stateDir,
      NULLSPACE_API_URL: local.nullspace,
      NULLSPACE_API_KEY: local.apiKey,
    };
    const hook = `http://127.0.0.1:${String((receiver.address() as AddressInfo).port)}/hook`;
    const { stdout } = await run(python, [join(__dirname, "nullspace_client.py"), hook], { env });
    seen = JSON.parse(stdout) as Seen;
  }, setUpMs);

  afterAll(async () => {
    receiver.close();
    receiver.closeAllConnections();
    for (const { id } of (await local.controlPlane.machines.list({ limit: 100 })).items) {
      await local.controlPlane.machines.state(id, "destroyed");
      await local.controlPlane.machines.settled(id, "destroyed", AbortSignal.timeout(20_000));
    }
    await local.close();
    rmSync(stateDir, { recursive: true, force: true });
  }, setUpMs);

  const refused = (name: string): Failure => seen[name] as Failure;

  test("creates a machine once for a key, with everything that was asked for", () => {
    expect(seen.created).toMatchObject({
      ...{ status: "running", template: "base", vcpus: 1, timeout_ms: 600_000 },
      metadata: { part: "main" },
    });
    expect(seen).toMatchObject({ same_key_same_machine: true, env_and_cwd: "blue\n/root/work\n" });
    expect(refused("key_conflict")).toMatchObject({ kind: "ConflictError", code: "conflict" });
  });

  test("runs commands over REST, with exit codes, streams and a time limit", () => {
    expect(seen).toMatchObject({
      run: [0, "out\n", ""],
      run_shell: [3, "me\n", "err\n"],
      missing_program: 127,
    });
    expect(refused("exec_timeout")).toMatchObject({ code: "exec_timeout" });
  });

  test("streams a command, in the background too, and attaches to it again", () => {
    expect(seen).toMatchObject({
      streaming: { exit_code: 0, stdout: "tick-1\ntick-2\ntick-3\n", stderr: "bad\n" },
      utf8: "étété".slice(0, 3),
      background: [0, "got hello\n"],
      logs: [0, "got hello\n", "got hello\n"],
      listed_process: [["echo begin; sleep 60", true]],
      killed: 137,
    });
    expect(refused("attach_unknown")).toMatchObject({ kind: expect.any(String) as string });
  });

  test("has terminals that can be resized, listed and killed", () => {
    expect(seen).toMatchObject({
      pty: { exit_code: 7, resized: true },
      pty_list_empty: [],
      pty_listed: true,
    });
  });

  test("reads, writes, lists, finds, watches and uploads files", () => {
    expect(seen).toMatchObject({
      file_written: ["/root/box/a.txt", 6],
      file_read: "héllo",
      file_bytes: true,
      file_list: ["a.txt", "b.bin"],
      file_info: ["a.txt", 6, false],
      file_exists: [true, false],
      file_renamed: ["b.bin", "c.txt"],
      file_found: [[1, "héllo"]],
      file_watched: true,
      file_uploaded: ["resumable", "completed", 20 * 1024 * 1024],
      file_same: true,
      file_batch: [
        ["/root/box/many/1", 3],
        ["/root/box/many/2", 3],
      ],
      file_folder: [2, "from a folder"],
      file_conflict: { kind: "UploadConflictError", code: "file_upload_error" },
      file_checksum: { kind: "UploadChecksumError", code: "file_upload_error" },
      file_resumed: [true, 20 * 1024 * 1024],
      file_by_url: "by url",
    });
    expect(refused("file_missing")).toMatchObject({ code: "not_found" });
  });

  test("leases, metrics and hosts", () => {
    expect(seen).toMatchObject({
      lease: [900_000, "hibernate"],
      metrics: 512 * 1024 * 1024,
      host: "127.0.0.1:8080",
      egress_same: null,
    });
  });

  test("snapshots are independent of their machine", () => {
    expect(seen).toMatchObject({
      snapshot: [true, true],
      snapshots_listed: true,
      from_snapshot: ["kept", "blue\n"],
      copy_lives: "kept",
    });
    expect(refused("snapshot_gone")).toMatchObject({ kind: "NotFoundError" });
  });

  test("hibernates and resumes, by a command too where the machine says so", () => {
    expect(seen).toMatchObject({
      asleep: "paused",
      auto_resumed: "kept",
      connected: [true, true],
    });
    expect(refused("hibernation_in_use")).toMatchObject({ code: "snapshot_in_use" });
    expect(refused("hibernate_twice")).toMatchObject({ code: "machine_not_ready" });
    expect(seen["paused_listed"]).toHaveLength(1);
  });

  test("lists by pages, filters and fields, and monitors", () => {
    expect(seen).toMatchObject({ paged: ["copy", "main"], monitored: true, left: [] });
    expect(Object.keys(seen["fields"] as object).sort()).toEqual(["id", "status"]);
    expect(refused("gone")).toMatchObject({ kind: "NotFoundError", code: "machine_not_found" });
  });

  test("the lifecycle log says what was asked for and how it ended", () => {
    expect(seen.history.slice(0, 2)).toEqual([
      ["create", "requested"],
      ["create", "succeeded"],
    ]);
    const operations = new Set(seen.history.map(([operation]) => operation));
    expect(operations).toEqual(
      new Set(["create", "snapshot_created", "hibernate", "resume_from_snapshot", "fork"]),
    );
    const [source, target] = seen.fork_ids;
    expect(seen.fork_event).toHaveLength(2);
    for (const event of seen.fork_event) {
      expect(event).toMatchObject({
        machine_id: target,
        source_machine_id: source,
        target_machine_id: target,
      });
    }
    expect(seen.snapshot_events.length).toBeGreaterThanOrEqual(1);
    expect(seen).toMatchObject({ fork_differs: true, first_page: [true, true] });
  });

  test("streams of the log replay, go on and resume; an unknown cursor is refused", () => {
    expect(seen).toMatchObject({ replayed_all: true, scoped: true });
    expect(seen.subscribed).toMatchObject({ operation: "create" });
    expect(refused("stream_unknown_cursor")).toMatchObject({ code: "websocket_error" });
  });

  test("webhooks are delivered, signed, and recorded", () => {
    expect(seen).toMatchObject({
      webhook: [expect.any(String), true, true],
      webhook_listed: true,
      delivery: ["destroy", 1, 204],
      webhook_changed: false,
    });
    expect(refused("webhook_gone")).toMatchObject({ kind: "NotFoundError" });
    expect(hooks.length).toBeGreaterThan(0);
    for (const { body, signature } of hooks) {
      const hmac = createHmac("sha256", "a-signing-secret").update(body).digest("hex");
      expect(signature).toBe(`sha256=${hmac}`);
    }
  });

  test("refusals are the client's own errors", () => {
    expect(refused("wrong_key")).toMatchObject({ kind: "AuthError", code: "unauthorized" });
    expect(refused("unknown_machine")).toMatchObject({ kind: "NotFoundError", code: "machine_not_found" });
    expect(refused("unknown_template")).toMatchObject({ code: "template_not_found" });
    expect(refused("desktop")).toMatchObject({ code: "template_not_found" });
    expect(refused("volumes")).toMatchObject({ kind: "NotImplementedError", code: "not_implemented" });
  });

  test("the asynchronous client does the same", () => {
    expect(seen["async"]).toEqual([0, "async\n", "running"]);
  });
});
