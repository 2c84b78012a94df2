import { readdirSync } from "node:fs";
import { join } from "node:path";
import { marked } from "./support/processes";
import { eventually } from "./support/run";
import { Stack } from "./support/stack";

jest.setTimeout(240_000);
const small = { vcpu: 0.25, memoryMiB: 256, storageGiB: 1 };

describe("machines that are real sandboxes", () => {
  const stack = new Stack("sandbox");
  const { plane } = stack;

  beforeAll(() => stack.init());
  afterAll(() => stack.dispose());

  test("run real commands, keep their disk over sleep, and leave nothing after destroy", async () => {
    await stack.up({ web: { args: small } });
    const id = stack.machine("web")?.id ?? "";
    const write = await plane.client.executions.run(id, {
      command: ["sh", "-c", "echo kept > /root/file; hostname; ps -e 2>/dev/null | wc -l; cat /proc/1/comm"],
    });
    expect(write).toMatchObject({ exitCode: 0 });

    await stack.up({ web: { args: { ...small, desiredState: "sleeping" } } });
    await stack.up({ web: { args: { ...small, desiredState: "running" } } });
    const read = await plane.client.executions.run(id, { command: ["cat", "/root/file"] });
    expect(read.stdout).toBe("kept\n");

    await stack.must("destroy", "--yes", "--skip-preview");
    expect(await plane.machines()).toEqual([]);
    await eventually("the end of the sandbox's processes", () =>
      marked(stack.mark).every((pid) => pid === plane.pid) ? true : undefined,
    );
    const machines = join(stack.folder, "state", "local", "machines");
    expect(readdirSync(machines)).toEqual([]);
  });
});
