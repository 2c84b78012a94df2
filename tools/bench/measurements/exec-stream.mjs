/** Output of a command, from the command to whoever reads it, against bare `ws` and against the vendor's Python client. */
import { execFile } from "node:child_process";
import { createRequire } from "node:module";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { WebSocket } from "ws";
import { pythonWithClients } from "../../../test/clients/python-environment.ts";
import { monotonicMs } from "../support/clock.mjs";
import { startControlPlane } from "../support/control-plane.mjs";
import { startHelper } from "../support/helper.mjs";
import { measurement } from "../support/measurement.mjs";
import { median, times } from "../support/statistics.mjs";

const require = createRequire(import.meta.url);
const { NullspaceClient } = require("@pulumi-machines/sdk");
const run = promisify(execFile);

const goal = 0.9;
const frameBytes = 65_536;
const line = `${"x".repeat(127)}\n`;
const bytesPerMb = 1_000_000;

/** The same text as the bare server's, as fast as a program can write it. */
const commandOf = (bytes) => `yes ${"x".repeat(line.length - 1)} | head -c ${String(bytes)}`;

async function bySdk(client, machineId, bytes) {
  const startedAt = monotonicMs();
  let size = 0;
  const stream = client.commands.stream(machineId, commandOf(bytes), { shell: true, timeoutMs: 120_000 });
  for await (const { data } of stream) size += data.length;
  const { exitCode, complete } = await stream.result;
  if (size !== bytes || exitCode !== 0 || !complete) throw new Error(`only ${String(size)} bytes came`);
  return perSecond(bytes, startedAt);
}

/** What a program does that knows the frames: parse, and add up. `ask` is the frame that it sends. */
async function byBareClient(url, bytes, { apiKey, machineId }, ask = startOf(bytes)) {
  const startedAt = monotonicMs();
  const socket = new WebSocket(`${url.replace("http", "ws")}/v1/machines/${machineId}/ws?channel=exec`, {
    perMessageDeflate: false,
    headers: { authorization: `Bearer ${apiKey}` },
  });
  let size = 0;
  await new Promise((resolve, reject) => {
    socket.on("error", reject);
    socket.on("open", () => socket.send(JSON.stringify({ id: "bench", ...ask })));
    socket.on("message", (text) => {
      const frame = JSON.parse(text.toString());
      if (frame.type === "exec_stdout") size += frame.data.length;
      else if (frame.type === "error") reject(new Error(frame.message));
      if (frame.type === "exec_exit" || size === bytes) resolve();
    });
  });
  socket.close();
  if (size !== bytes) throw new Error(`only ${String(size)} bytes came to the bare client`);
  return perSecond(bytes, startedAt);
}

const startOf = (bytes) => ({
  ...{ type: "exec_start", command: commandOf(bytes), args: [], timeout_secs: 120, shell: true },
});

/** The same bytes, of a command that has written them before anybody asks: what the control plane does by itself. */
async function writtenBefore(client, url, bytes, at) {
  const command = `${commandOf(bytes)}; echo all >&2; exec sleep 60`;
  const process = await client.commands.background(at.machineId, command, { shell: true });
  for await (const { stream } of process.output({ from: { stdout: bytes, stderr: 0 } })) {
    if (stream === "stderr") break;
  }
  const ask = { type: "exec_connect", pid: process.pid, stdout_offset: 0, stderr_offset: 0 };
  const seen = await byBareClient(url, bytes, at, ask);
  await process.kill();
  return seen;
}

/** Milliseconds from the call until the command is known to run. */
async function startOfCommand(client, machineId) {
  const startedAt = monotonicMs();
  const stream = client.commands.stream(machineId, "true");
  await stream.pid;
  const took = monotonicMs() - startedAt;
  await stream.result;
  return took;
}

async function byPython({ nullspace, apiKey }, machineId, bytes) {
  const script = join(fileURLToPath(new URL("../support", import.meta.url)), "python_exec.py");
  const env = { PATH: process.env.PATH, NULLSPACE_API_URL: nullspace, NULLSPACE_API_KEY: apiKey };
  const { stdout } = await run(await pythonWithClients(), [script, machineId, commandOf(bytes)], { env });
  const seen = JSON.parse(stdout);
  if (seen.bytes !== bytes || seen.exit_code !== 0) throw new Error(`the Python client saw ${stdout}`);
  return seen.bytes / bytesPerMb / seen.seconds;
}

const perSecond = (bytes, startedAt) => bytes / bytesPerMb / ((monotonicMs() - startedAt) / 1000);
const rate = (value) => `${value.toFixed(0)} MB/s`;

await measurement(async ({ quick, folder, say, undo }) => {
  const bytes = frameBytes * (quick ? 800 : 1_600);
  const rounds = quick ? 3 : 7;
  const bare = await startHelper("bare-exec-child.mjs", { bytes, frameBytes, line });
  undo(() => bare.close());
  const plane = await startControlPlane({ stateDir: join(folder, "local"), driver: "sandbox" });
  undo(() => plane.close());
  const { nullspace, apiKey } = plane.started;
  const client = new NullspaceClient({ baseUrl: nullspace, apiKey });
  undo(() => client.close());
  const bareClient = new NullspaceClient({ baseUrl: bare.started.url, apiKey });
  undo(() => bareClient.close());
  const machine = await client.machines.create({ timeoutMs: 3_600_000, memoryMb: 1024 });
  undo(() => client.machines.delete(machine.id));

  const samples = {
    whole: [],
    planeBare: [],
    written: [],
    sdk: [],
    raw: [],
    rawRun: [],
    start: [],
    python: [],
  };
  const at = { apiKey, machineId: machine.id };
  for (let round = -1; round < rounds; round++) {
    const seen = {
      whole: await bySdk(client, machine.id, bytes),
      raw: await byBareClient(bare.started.url, bytes, at),
      sdk: await bySdk(bareClient, machine.id, bytes),
      planeBare: await byBareClient(nullspace, bytes, at),
      written: await writtenBefore(client, nullspace, bytes, at),
      rawRun: await byBareClient(`${bare.started.url}/run`, bytes, at),
      start: await startOfCommand(client, machine.id),
    };
    if (round < 0) continue; // compiled only now
    for (const [name, value] of Object.entries(seen)) samples[name].push(value);
  }
  for (let round = 0; round < Math.min(rounds, 3); round++) {
    samples.python.push(await byPython(plane.started, machine.id, bytes));
  }
  const [whole, planeBare, written, sdk, raw, rawRun, start, python] = Object.values(samples).map(median);
  say(
    Object.entries(samples)
      .map(([name, all]) => `${name} ${name === "start" ? `${start.toFixed(0)} ms` : rate(median(all))}`)
      .join(", "),
  );
  const row = (what, ours, name, peer, least) => ({
    what,
    ours: rate(ours),
    peer: `${name}: ${rate(peer)}`,
    ratio: times(ours / peer),
    ...(least === undefined ? {} : { goal: `>= ${String(least)}`, met: ours / peer >= least }),
  });
  return {
    title: "Commands: streaming of output",
    intro:
      `${(bytes / bytesPerMb).toFixed(0)} MB of text that a command writes in a sandbox, in frames of 64 KiB, medians of ` +
      `${String(rounds)} by turns. The bare \`ws\` server sends the same frames from memory; the bare client parses each and adds ` +
      `up its length. Server and client are two processes on one host.`,
    rows: [
      row("the SDK, fed by the bare server", sdk, "bare client, same server", raw, goal),
      row("control plane, of a command that wrote before", written, "bare server, bare client", raw, goal),
      row(
        "command and control plane, read by the bare client",
        planeBare,
        "bare server that runs the command, bare client",
        rawRun,
        goal,
      ),
      row("command, control plane and SDK together", whole, "bare server and client, no command", raw),
      row(
        "command, control plane and SDK together",
        whole,
        "the vendor's Python client, same control plane",
        python,
        1,
      ),
    ],
    notes: [
      "The whole way includes the start of the command, its writing, and the file that keeps its output. On a host of two " +
        "processors the command takes one of them for as long as it writes, which a server with its frames in memory does not need.",
      `From the call to a command that runs: ${start.toFixed(0)} ms.`,
    ],
  };
});
