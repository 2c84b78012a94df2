/** A wrong path of the endpoint: nothing there is, and nothing there is gone. */
import { DedalusControlPlane } from "../../../provider/src/controlplane/dedalus";
import { LocalControlPlane } from "../../../provider/src/controlplane/local";
import { NullspaceControlPlane } from "../../../provider/src/controlplane/nullspace";
import type { ControlPlane } from "../../../provider/src/controlplane/port";
import { never, startEmbedded } from "./embedded";

let local: Awaited<ReturnType<typeof startEmbedded>>;
beforeAll(async () => {
  local = await startEmbedded("null");
}, 60_000);
afterAll(() => local.close());

const at = (kind: string, path: string): ControlPlane => {
  const { url, apiKey } = local;
  const baseUrl = `${url}${path}`;
  if (kind === "local") return new LocalControlPlane({ url: baseUrl, apiKey });
  if (kind === "dedalus") return new DedalusControlPlane({ backend: "dedalus", baseUrl, apiKey });
  return new NullspaceControlPlane({ backend: "nullspace", baseUrl, apiKey });
};

test.each([
  ["local", "", true],
  ["dedalus", "/dedalus", true],
  ["nullspace", "/nullspace", true],
  ["local", "/elsewhere", false],
  ["dedalus", "/dedaluss", false],
  ["dedalus", "/dedalus/v1", false],
  ["dedalus", "", false],
  ["nullspace", "/nullspace/v1", false],
])("%s at %j", async (kind, path, isRight) => {
  const plane = at(kind, path);
  const verified = plane.verify({ signal: never });
  if (isRight) await verified;
  else
    await expect(verified).rejects.toMatchObject({
      code: "wrong_endpoint",
      message: expect.stringContaining("machines:endpoint") as string,
    });
  await plane.close();
});

test("whatever else is wrong is for the operation to say", async () => {
  const wrongKey = new DedalusControlPlane({
    backend: "dedalus",
    baseUrl: `${local.url}/dedalus`,
    apiKey: "wrong",
  });
  await wrongKey.verify({ signal: never });
  await wrongKey.close();
});
