import { readFileSync } from "node:fs";
import { join } from "node:path";
import { linkOldestSdk, oldestVersion } from "./support/oldest-sdk";
import { Stack } from "./support/stack";

jest.setTimeout(300_000);
const small = { vcpu: 0.25, memoryMiB: 256, storageGiB: 1 };

describe(`a program on @pulumi/pulumi ${oldestVersion}`, () => {
  const stack = new Stack("null", linkOldestSdk);
  const { plane } = stack;

  beforeAll(() => stack.init());
  afterAll(() => stack.dispose());

  test("makes, changes, refreshes and destroys a machine", async () => {
    const sdk = join(stack.project, "node_modules", "@pulumi", "pulumi", "package.json");
    expect(JSON.parse(readFileSync(sdk, "utf8"))).toMatchObject({ version: oldestVersion });

    await stack.up({ web: { args: small } });
    const id = stack.machine("web")?.id ?? "";
    const text = await stack.up(
      { web: { args: { ...small, memoryMiB: 512, desiredState: "sleeping" } } },
      "--refresh",
    );
    expect(text).toContain("1 updated");
    expect(stack.machine("web")).toMatchObject({ id, outputs: { phase: "sleeping", memoryMiB: 512 } });

    await stack.must("up", "--yes", "--skip-preview", "--replace", stack.urn("web"));
    expect(stack.machine("web")?.id).not.toBe(id);
    expect(await plane.machines()).toHaveLength(1);

    await stack.must("destroy", "--yes", "--skip-preview");
    expect(await plane.machines()).toEqual([]);
  });
});
