/** The vendor's own client, against a real control plane that answers as the newest API generation does. */
import { execFile } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { type Local, startLocal } from "../../local/src/start-local";
import { pythonWithClients } from "./python-environment";

const run = promisify(execFile);
const setUpMs = 300_000;

interface Failure {
  expected: boolean;
  status?: number;
  body?: Record<string, unknown>;
  sent?: number;
}
interface Facts {
  id: string;
  phase: string;
  [name: string]: unknown;
}
interface Seen {
  empty_create: Facts;
  create_ends_with: string;
  revisions: string[];
  resumed: string[];
  retrieved: string;
  second: Facts;
  same_key_same_machine: boolean;
  listed: Facts[];
  listed_by_one: string[];
  updated: Facts;
  sleep_ends_with: string;
  wake_ends_with: string;
  execution: Record<string, unknown> & { events: string[] };
  execution_gone: Failure;
  wrong_key: Failure;
  unknown_machine: Failure;
  invalid_size: Failure;
  no_key: Failure;
  key_reused: Failure;
  stale_revision: Failure;
  delete_ends_with: string;
  left: string[];
  strict: boolean[];
  strict_delete: string;
  async: unknown[];
}

describe("the official dedalus-sdk for Python", () => {
  const stateDir = mkdtempSync(join(tmpdir(), "machines-client-"));
  let local: Local;
  let seen: Seen;

  beforeAll(async () => {
    const python = await pythonWithClients();
    local = await startLocal({ stateDir, port: 0, flatPhase: true });
    const { stdout } = await run(python, [join(__dirname, "dedalus_client.py")], {
      env: {
        PATH: process.env["PATH"],
        PYTHONDONTWRITEBYTECODE: "1",
        DEDALUS_BASE_URL: local.dedalus,
        DEDALUS_API_KEY: local.apiKey,
      },
      timeout: 120_000,
    });
    seen = JSON.parse(stdout) as Seen;
  }, setUpMs);

  afterAll(async () => {
    await destroyAll(local);
    await local.close();
    rmSync(stateDir, { recursive: true, force: true });
  });

  test("makes a machine of the usual size from an empty request", () => {
    expect(seen.empty_create).toMatchObject({ vcpu: 1, memory: 2048, storage: 10, autosleep: 300 });
    expect(seen.empty_create).toMatchObject({ phase: "accepted", desired: "running" });
    expect(seen.retrieved).toBe("running");
  });

  test("makes a machine of a given size, and the same one for the same idempotency key", () => {
    expect(seen.second).toMatchObject({ vcpu: 0.5, memory: 512, storage: 1, autosleep: 5400 });
    expect(seen.same_key_same_machine).toBe(true);
  });

  test("follows the status stream to its end, in order, and resumes it", () => {
    expect(seen.create_ends_with).toBe("running");
    const numbers = seen.revisions.map(Number);
    expect(numbers).toEqual([...numbers].sort((a, b) => a - b));
    const last = Number(numbers.at(-1));
    expect(seen.resumed).toEqual(Array.from({ length: last - 2 }, (_, at) => String(at + 3)));
  });

  test("lists machines, in pages of one too", () => {
    expect(seen.listed.map(({ id }) => id)).toEqual([seen.second.id, seen.empty_create.id]);
    expect(seen.listed.map(({ phase }) => phase)).toEqual(["running", "running"]);
    expect(seen.listed_by_one).toEqual([seen.second.id, seen.empty_create.id]);
  });

  test("resizes, sleeps, wakes and deletes", () => {
    expect(seen.updated).toMatchObject({ memory: 1024, autosleep: 0 });
    expect([seen.sleep_ends_with, seen.wake_ends_with, seen.delete_ends_with]).toEqual([
      "sleeping",
      "running",
      "destroyed",
    ]);
    expect(seen.left).toEqual([]);
  });

  test("runs a real command and reads its output and events", () => {
    expect(seen.execution).toMatchObject({
      ...{ status: "failed", exit_code: 3, env_keys: ["NAME"] },
      ...{ stdout: "hello client\nfrom stdin\n", stderr: "oops\n", listed: [true], deleted: "failed" },
    });
    expect(seen.execution.events).toEqual(expect.arrayContaining(["lifecycle", "stdout", "stderr"]));
    expect(seen.execution_gone).toMatchObject({ expected: true, status: 404 });
  });

  test("raises its own error classes, and sends what cannot be helped only once", () => {
    expect(seen.wrong_key).toMatchObject({ expected: true, status: 401, sent: 1 });
    expect(seen.wrong_key.body).toMatchObject({ error_code: "AUTH_INVALID", retryable: false });
    expect(seen.unknown_machine).toMatchObject({ expected: true, status: 404, sent: 1 });
    expect(seen.invalid_size).toMatchObject({ expected: true, status: 422, sent: 1 });
    expect(seen.no_key).toMatchObject({ expected: true, status: 400, sent: 1 });
    expect(seen.key_reused).toMatchObject({ expected: true, status: 409, sent: 1 });
    expect(seen.key_reused.body).toMatchObject({ error_code: "IDEMPOTENCY_KEY_REUSED" });
    expect(seen.stale_revision).toMatchObject({ expected: true, status: 409, sent: 1 });
    expect(seen.stale_revision.body).toMatchObject({ error_code: "REVISION_MISMATCH", retryable: true });
  });

  test("reads every answer strictly, and asynchronously", () => {
    expect(seen.strict).toEqual([true]);
    expect(seen.strict_delete).toBe("destroyed");
    expect(seen.async).toEqual([0.25, "destroyed"]);
  });
});

/** Leaves no process behind, also where the client gave up half way. */
async function destroyAll({ controlPlane: { machines } }: Local): Promise<void> {
  const { items } = await machines.list({ limit: 1000 });
  const answer = () => ({ status: 202, headers: {}, body: "{}" });
  for (const { id, phase } of items) {
    if (phase !== "destroying") {
      const once = { scope: "test", key: id, requestHash: "" };
      await machines.desire(id, "destroyed", once, undefined, answer);
    }
    await new Promise<void>((done, fail) => {
      machines
        .follow(id, undefined, (record) => {
          if (record.phase === "destroyed") done();
          if (record.phase === "failed") fail(new Error(record.lastError ?? "destroy failed"));
        })
        .catch(fail);
    });
  }
}
