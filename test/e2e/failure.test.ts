import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { Stack } from "./support/stack";

jest.setTimeout(240_000);
const small = { vcpu: 0.25, memoryMiB: 256, storageGiB: 1 };
const imageMissing = { reason: "image_missing", lastError: "no such image: base-9", retryable: false };
const noRoom = { reason: "insufficient_capacity", lastError: "no host has 256 MiB free", retryable: true };

describe("a deploy that fails", () => {
  const stack = new Stack();
  const { plane } = stack;

  beforeAll(() => stack.init());
  afterAll(() => stack.dispose());

  test("tells what a person needs, keeps the machine in the stack, and the next up repairs it", async () => {
    await plane.faults({ on: "start", times: 1, fail: imageMissing });
    stack.write({ job: { args: small } });
    const { code, text } = await stack.pulumi("up", "--yes", "--skip-preview");
    expect(code).not.toBe(0);
    const [made] = await plane.machines();
    const id = made?.machineId ?? "";
    expect(text).toMatch(
      new RegExp(`\\* machine "job" \\(${id}\\) failed( after \\w+)?: no such image: base-9`),
    );
    expect(text).toContain(
      "* phase failed, reason image_missing, retryable: no, last_error: no such image: base-9",
    );
    expect(text).toMatch(/\* revision \d+, desired state running, backend local, request id [0-9a-f-]{36}/);
    expect(text).toMatch(/\* seen: accepted .*at .*failed \(image_missing\) after /);
    expect(text).toContain('"pulumi up" tries again, "pulumi destroy" removes the machine');
    expect(text).not.toMatch(/at .*\.js:\d+/);
    expect(stack.machine("job")).toMatchObject({ id, outputs: { phase: "failed" } });
    expect(stack.machine("job")?.initErrors).toHaveLength(5);

    await stack.up({ job: { args: small } });
    expect(stack.machine("job")).toMatchObject({ id, outputs: { phase: "running" } });
    expect(stack.machine("job")?.initErrors).toBeUndefined();
    expect(await plane.machines()).toHaveLength(1);
  });

  test("only fails when the budget for retryable failures is spent", async () => {
    await plane.faults({ on: "start", times: 2, fail: noRoom });
    const text = await stack.up({ job: { args: small }, patient: { args: small } });
    expect(text).toContain("no host has 256 MiB free; retry 1 of 3");
    expect(stack.machine("patient")?.outputs?.phase).toBe("running");
  });

  test("names the phase and how long it is stuck when its time is over; destroy removes what is there", async () => {
    await plane.faults({ on: "start", stallMs: 600_000 });
    stack.write({
      job: { args: small },
      patient: { args: small },
      stuck: { args: { ...small, timeouts: { create: "2s" } } },
    });
    const { code, text } = await stack.pulumi("up", "--yes", "--skip-preview");
    expect(code).not.toBe(0);
    expect(text).toMatch(/machine "stuck" \(dm-\w+\) is not running after 2 s: starting.* for 1\.\d s now/);
    await stack.must("destroy", "--yes", "--skip-preview");
    expect(await plane.machines()).toEqual([]);
  });

  test("says in one line how to start a control plane when none runs", async () => {
    await plane.stop();
    stack.write({ job: { args: small } });
    const { code, text } = await stack.pulumi("up", "--yes", "--skip-preview");
    expect(code).not.toBe(0);
    expect(text).toMatch(
      /error: no embedded control plane runs .*Start one with: npx machines-local start --detach/,
    );
    expect(text).not.toMatch(/at .*\.js:\d+/);
    await plane.start();
  });

  test("takes endpoint and key from the stack's configuration; the secret stays one", async () => {
    const { dedalus, apiKey } = plane.endpoint();
    writeFileSync(join(stack.project, "Pulumi.dev.yaml"), "config:\n  machines:backend: dedalus\n");
    await stack.must("config", "set", "machines:endpoint", dedalus);
    await stack.must("config", "set", "--secret", "machines:apiKey", apiKey);
    await stack.up({ job: { args: small } });
    expect(stack.machine("job")?.outputs?.phase).toBe("running");
    expect(JSON.stringify(stack.resources())).not.toContain(apiKey);
    await stack.must("destroy", "--yes", "--skip-preview");
    expect(await plane.machines()).toEqual([]);
  });
});
