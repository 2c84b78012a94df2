/** The adapter over a real control plane: what a refusal says to somebody who writes a Pulumi program. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { startLocal } from "@pulumi-machines/local";
import { DedalusControlPlane } from "../../../provider/src/controlplane/dedalus";
import { freePort } from "../../support/postgres";

const options = { signal: new AbortController().signal, idempotencyKey: "k-1" };
const spec = { vcpu: 1, memoryMiB: 512, storageGiB: 1 };

test("a wrong key is said in the terms of a project, with the request id and without the key", async () => {
  const stateDir = mkdtempSync(join(tmpdir(), "machines-adapter-"));
  const local = await startLocal({ stateDir, port: 0, driver: "null" });
  const plane = new DedalusControlPlane({
    backend: "local",
    baseUrl: local.dedalus,
    apiKey: "not-the-key-1234",
  });
  try {
    const refusal: unknown = await plane.createMachine(spec, options).catch((error: unknown) => error);
    expect(refusal).toMatchObject({ name: "RefusedError", code: "AUTH_INVALID", retryable: false });
    const { message } = refusal as Error;
    expect(message).toMatch(
      /401 AUTH_INVALID: .* \(request id [0-9a-f-]{36}\)\. Check the key: pulumi config set --secret machines:apiKey/,
    );
    expect(message).not.toMatch(/not-the-key-1234|DEDALUS_/);
  } finally {
    await plane.close();
    await local.close();
    rmSync(stateDir, { recursive: true, force: true });
  }
});

test("an address at which nothing answers comes with the hint that the backend has for it", async () => {
  const baseUrl = `http://127.0.0.1:${String(await freePort())}`;
  const plane = new DedalusControlPlane({
    backend: "local",
    baseUrl,
    apiKey: "any-key-1234",
    unreachableHint: "Start it.",
  });
  try {
    await expect(plane.createMachine(spec, options)).rejects.toMatchObject({
      code: "connection_refused",
      message: expect.stringMatching(/\. Start it\.$/) as string,
    });
  } finally {
    await plane.close();
  }
});
