/** The process of a measured control plane: the null driver and SQLite as it is by default (WAL, synchronous=FULL), if not told otherwise. */
import { createRequire } from "node:module";
import { monitorEventLoopDelay } from "node:perf_hooks";
import { join } from "node:path";
import { root } from "../../setup/node-modules.mjs";
import { monotonicMs } from "./clock.mjs";
import { answer, openFilesLimit, residentBytes, tell } from "./helper-process.mjs";

const require = createRequire(import.meta.url);
const { faultScript, startLocal } = require("@pulumi-machines/local");
const { NullDriver } = require(join(root, "local/dist/engine/drivers/null-driver.js"));

let local;
const delay = monitorEventLoopDelay({ resolution: 1 });

/** Tells when a machine's `running` is committed: it follows the log itself, before any stream can be told. */
class ObservedDriver extends NullDriver {
  async start(spec, options) {
    await super.start(spec, options);
    const end = await local.controlPlane.machines.follow(spec.id, undefined, ({ id, phase }) => {
      if (phase !== "running") return;
      tell("running", { id: `dm-${id}`, at: monotonicMs() });
      setImmediate(() => end());
    });
  }
}

const engineId = (id) => id.replace(/^dm-/, "");

async function until(id, holds) {
  const { promise, resolve } = Promise.withResolvers();
  const end = await local.controlPlane.machines.follow(engineId(id), undefined, (machine) => {
    if (holds(machine)) resolve();
  });
  await promise;
  end();
}

const requests = {
  async start({ stateDir, databaseUrl, observe = false, faults = { rules: [] }, driver = "null" }) {
    // As the command line starts it: the process is its own, and keeps its memory small.
    const own = { ownProcess: true };
    const store = databaseUrl === undefined ? {} : { databaseUrl };
    const runs = observe ? new ObservedDriver() : driver;
    const options = { stateDir, port: 0, driver: runs, faults: faultScript.parse(faults), ...store };
    local = await startLocal(options, own);
    const { dedalus, nullspace, apiKey } = local;
    return { dedalus, nullspace, apiKey, files: openFilesLimit(), pid: process.pid };
  },

  faults: (script) => local.faults.replace(faultScript.parse(script)),

  /** When all these machines were in this phase. */
  async reached({ ids, phase }) {
    await Promise.all(ids.map((id) => until(id, (machine) => machine.phase === phase)));
    return monotonicMs();
  },

  /** Tells "changed" at each commit from now on. Whoever opens a stream later is told after this. */
  async watchChanges(id) {
    await local.controlPlane.machines.follow(engineId(id), undefined, ({ revision }) => {
      tell("changed", { revision, at: monotonicMs() });
    });
  },

  /** Tells "logged" at each event of the lifecycle log from now on, as soon as it is committed. */
  async watchLog() {
    await local.controlPlane.lifecycle.follow({ filter: {}, liveOnly: true }, (events) => {
      for (const { id } of events) tell("logged", { id, at: monotonicMs() });
    });
  },

  revision: async (id) => (await local.controlPlane.machines.get(engineId(id))).revision,

  memory: residentBytes,

  watchDelay() {
    delay.reset();
    delay.enable();
  },

  /** The longest that the event loop was held since, in milliseconds. */
  longestDelay() {
    delay.disable();
    return delay.max / 1e6;
  },
};

answer(requests, () => local?.close());
