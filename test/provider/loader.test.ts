import { identityLoader, machineLoader } from "../../provider/src/loader";
import * as dynamic from "../../provider/src/dynamic";

import { createRequire } from "node:module";

// The very function with which Pulumi's provider process reads the text.
const requireFromString = createRequire(require.resolve("@pulumi/pulumi"))("require-from-string") as (
  text: string,
) => { handler: () => unknown };

describe("the provider text in the state", () => {
  test("is these constants, in every version for ever", () => {
    expect(machineLoader).toBe('exports.handler = () => require("pulumi-machines/dynamic").machine;');
    expect(identityLoader).toBe('exports.handler = () => require("pulumi-machines/dynamic").identity;');
  });

  test("is what a program registers, tiny and without a token", () => {
    for (const text of [machineLoader, identityLoader]) {
      expect(text.length).toBeLessThan(80);
      expect(typeof requireFromString(text).handler).toBe("function");
    }
  });

  test("loads a provider with every method that Pulumi calls", () => {
    for (const method of ["configure", "check", "diff", "create", "update", "read", "delete"] as const) {
      expect(typeof dynamic.machine[method]).toBe("function");
    }
    for (const method of ["configure", "diff", "create", "update", "delete"] as const) {
      expect(typeof dynamic.identity[method]).toBe("function");
    }
  });

  test("configures at once, without waiting", () => {
    expect(dynamic.machine.configure({ config: { get: () => undefined } })).toBeUndefined();
  });

  test("makes another identity for every stack, and keeps it", async () => {
    const [a, b] = [await dynamic.identity.create(), await dynamic.identity.create()];
    expect(a.outs.identity).toMatch(/^[0-9a-f-]{36}$/);
    expect(a.outs.identity).not.toBe(b.outs.identity);
    expect(await dynamic.identity.diff()).toEqual({ changes: false });
    expect(await dynamic.identity.update(a.id, a.outs)).toEqual({ outs: a.outs });
  });
});
