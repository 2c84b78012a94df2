/** What commands read and write over the Nullspace API where something goes wrong on the way. */
import { CuttingProxy } from "../../sdk/nullspace/cutting-proxy";
import { NullspaceControlPlane } from "../../../provider/src/controlplane/nullspace";
import type { CommandSpec } from "../../../provider/src/controlplane/command-port";
import { KeptOutput } from "../../../provider/src/controlplane/nullspace-output";
import { RefusedError } from "../../../provider/src/controlplane/port";
import { keyed, never, running, settled, startEmbedded } from "./embedded";
import { HostedProxy } from "./hosted-proxy";

jest.setTimeout(60_000);
const size = { vcpu: 1, memoryMiB: 256, storageGiB: 1 };
let local: Awaited<ReturnType<typeof startEmbedded>>;
let plane: NullspaceControlPlane;
let id: string;

const planeAt = (baseUrl: string): NullspaceControlPlane =>
  new NullspaceControlPlane({ backend: "nullspace", baseUrl, apiKey: local.apiKey });
const sh = (line: string, more: Partial<CommandSpec> = {}, on = plane) =>
  on.commands.run(
    id,
    { argv: ["sh", "-c", line], timeoutMs: 20_000, ...more },
    { ...keyed(), signal: never },
  );

beforeAll(async () => {
  local = await startEmbedded();
  plane = planeAt(local.nullspace);
  id = await running(plane, { ...size, autoResume: false });
});
afterAll(async () => {
  await plane.close();
  await local.close();
});
afterEach(() => local.faults.replace({ rules: [] }));

describe("input", () => {
  test("arrives as it is where a part would end between the halves of a character", async () => {
    const stdin = `${"x".repeat(256 * 1024 - 1)}😀${"ü".repeat(10)}\n`;
    const { stdout } = await sh("cat", { stdin });
    expect(stdout === stdin).toBe(true);
  });

  test.each([
    ["some", "a line of input\n".repeat(2_000)],
    ["none", ""],
  ])("(%s) arrives whole, or the command fails, wherever a connection is cut", async (_how, stdin) => {
    await using proxy = await CuttingProxy.before(local.nullspace);
    const cut = planeAt(proxy.url);
    const ends: string[] = [];
    for (const bytes of [0, 100, 200, 300, 400, 500, 700]) {
      proxy.cuts = [bytes, bytes];
      try {
        const { stdout, exitCode } = await sh("cat", { stdin }, cut);
        ends.push(
          exitCode === 0 && stdout === stdin ? "whole" : `${String(exitCode)} ${String(stdout.length)}`,
        );
      } catch (error) {
        ends.push((error as RefusedError).code);
      }
    }
    expect(ends).toContain("whole");
    expect(["whole", "stdin_lost", "command_unknown"]).toEqual(expect.arrayContaining(ends));
    await cut.close();
  });

  test("that does not reach the command ends it, and that is no reason to run it again", async () => {
    local.faults.replace({
      rules: [
        {
          ...{ on: "request", method: "POST", path: `/v1/machines/${id}/processes`, after: 1, times: 1 },
          refuse: { status: 500, errorCode: "internal_error", message: "broken", retryable: true },
          loseAnswer: false,
        },
      ],
    });
    await expect(sh("cat > /tmp/part; sleep 31347", { stdin: "y".repeat(600_000) })).rejects.toMatchObject({
      ...{ name: RefusedError.name, code: "stdin_lost", retryable: false },
      message: expect.stringMatching(/not all of its standard input reached it.*broken/) as string,
    });
    expect((await sh("pgrep -f 'sleep 3134[7]' || echo none")).stdout).toBe("none\n");
  });

  test("waits where the service asks to wait", async () => {
    local.faults.replace({
      rules: [
        {
          ...{ on: "request", method: "POST", path: `/v1/machines/${id}/processes`, after: 0, times: 2 },
          refuse: {
            status: 429,
            errorCode: "rate_limit_exceeded",
            message: "slowly",
            retryable: true,
            retryAfterMs: 1_200,
          },
          loseAnswer: false,
        },
      ],
    });
    expect((await sh("cat", { stdin: "patience" })).stdout).toBe("patience");
  });
});

describe("output", () => {
  test("of which a part is kept says so, also of a command that was ended", async () => {
    const some = await sh("head -c 6000000 /dev/zero | tr '\\0' 'a'");
    expect(some).toMatchObject({ complete: false, missing: "the first 1805696 characters of stdout" });
    expect(some.stdout).toHaveLength(4_194_304);
    const long = "head -c 6000000 /dev/zero | tr '\\0' 'b' >&2; sleep 20";
    expect(await sh(long, { timeoutMs: 3_000 })).toMatchObject({
      ...{ exitCode: 124, timedOut: true, complete: false },
      missing: "the first 1805696 characters of stderr",
    });
  });

  test("is not cut between the halves of a character", () => {
    const kept = new KeptOutput("stdout");
    kept.add(`x😀${"a".repeat(4 * 1024 * 1024 - 1)}`);
    expect(kept.text()).toHaveLength(4 * 1024 * 1024 - 1);
    expect(kept.cuts()).toEqual(["the first 3 characters of stdout"]);
  });
});

test("a machine that is put to sleep meanwhile ends the command, and it is not taken for one that never began", async () => {
  const other = await running(plane, { ...size, autoResume: false });
  let begun = (): void => undefined;
  const hasBegun = new Promise<void>((resolve) => (begun = resolve));
  const run = plane.commands.run(
    other,
    { argv: ["sh", "-c", "echo begun; sleep 30"], timeoutMs: 40_000 },
    { ...keyed(), onOutput: begun },
  );
  const end = run.then(
    (outcome) => ({ code: "", outcome }),
    (error: RefusedError) => ({ code: error.code, outcome: undefined }),
  );
  await hasBegun;
  await plane.sleepMachine(other, keyed());
  const { code, outcome } = await end;
  expect(code).not.toBe("INVALID_STATE");
  expect(outcome?.exitCode).not.toBe(0);
});

test("a machine that sleeps and may be woken is woken by a command", async () => {
  const sleeper = await running(plane, size);
  await plane.sleepMachine(sleeper, keyed());
  await settled(plane, sleeper, "sleeping");
  const outcome = await plane.commands.run(sleeper, { argv: ["echo", "awake"], timeoutMs: 20_000 }, keyed());
  expect(outcome.stdout).toBe("awake\n");
});

test("a service without WebSockets is said, and nothing is run", async () => {
  await using proxy = await HostedProxy.before(local.nullspace);
  proxy.missing = /\/ws\?/;
  const without = planeAt(proxy.url);
  await expect(sh("touch /tmp/ran", {}, without)).rejects.toMatchObject({ name: RefusedError.name });
  expect((await sh("ls /tmp/ran || true")).stdout).toBe("");
  await without.close();
});
