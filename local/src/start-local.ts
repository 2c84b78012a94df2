/** Starts the embedded control plane in this process: state folder, lock, key, driver, engine, server, endpoint file. */
import { setFlagsFromString } from "node:v8";
import { webhookBody } from "./dialects/nullspace/render-event";
import type { ControlPlane } from "./engine/control-plane";
import type { Driver } from "./engine/driver";
import { createDriver } from "./engine/drivers/select";
import { openControlPlane } from "./engine/engine";
import { Faults } from "./faults";
import { LogFile } from "./log-file";
import { createApp, serve } from "./server";
import { complete, isLoopback, type LocalOptions, type Settings } from "./settings";
import { keyOf, prepareStateDir, removeEndpoint, statePaths, writeEndpoint } from "./state-folder";
import { lockState } from "./state-lock";
import { packageVersion } from "./version";

export interface Local {
  /** Such as http://127.0.0.1:4590 */
  readonly url: string;
  /** Base URL of the DCS API. */
  readonly dedalus: string;
  /** Base URL of the Nullspace API. */
  readonly nullspace: string;
  readonly apiKey: string;
  readonly stateDir: string;
  readonly driver: Driver["name"];
  readonly controlPlane: ControlPlane;
  readonly faults: Faults;
  /** Stops serving. Machines keep running and are found again at the next start. */
  close(): Promise<void>;
  [Symbol.asyncDispose](): Promise<void>;
}

/**
 * Starts the embedded control plane and resolves when it answers. See LocalOptions for the defaults.
 * @throws SettingsError for an option that cannot be used; StateHeldError when another one holds the state folder; DriverError when a driver that was asked for by name
 * does not work here; Error when the port is taken.
 *
 *     await using local = await startLocal({ port: 0, driver: "null" });
 */
export async function startLocal(
  options: LocalOptions = {},
  /** True for the command line alone: a signal may end its process. */
  { ownProcess = false } = {},
): Promise<Local> {
  const settings = { ...complete(options), ownProcess };
  const undo: (() => unknown)[] = [];
  const close = async () => {
    for (const step of undo.splice(0).reverse()) await step();
  };
  try {
    return await start(settings, undo, close);
  } catch (error) {
    await close();
    throw error;
  }
}

async function start(
  settings: Settings & { ownProcess: boolean },
  undo: (() => unknown)[],
  close: () => Promise<void>,
): Promise<Local> {
  const { stateDir, warn } = settings;
  const startedAt = new Date();
  prepareStateDir(stateDir);
  const lock = lockState(stateDir, settings);
  undo.push(() => {
    lock.release();
  });
  // Of an earlier life that was killed: nobody answers there.
  removeEndpoint(stateDir);
  const log = new LogFile(statePaths(stateDir).log);
  undo.push(() => {
    log.close();
  });
  const apiKey = settings.apiKey ?? keyOf(stateDir);
  const app = createApp(log);
  undo.push(() => app.close());

  const tell = (line: string) => {
    app.log.warn(line);
    warn(line);
  };
  if (!isLoopback(settings.host)) {
    tell(
      `Listening on ${settings.host}: whoever reaches this host and has the key runs commands on it. ` +
        `The connection is not encrypted.`,
    );
  }
  const driver =
    typeof settings.driver === "string"
      ? await createDriver({ name: settings.driver, stateDir, log: tell })
      : settings.driver;
  for (const line of driver.warnings) tell(line);

  const faults = new Faults(settings.faults);
  if (settings.faults.rules.length > 0) {
    tell(
      `A fault script with ${String(settings.faults.rules.length)} rule(s) is in force: failures are rehearsed.`,
    );
  }
  const controlPlane = await openControlPlane({
    stateDir,
    driver,
    faults,
    capacity: settings.capacity,
    sleepHoldWindowMs: settings.sleepHoldWindowMs,
    webhookBody,
    allowHttpWebhooks: settings.allowHttpWebhooks,
    eventRetentionMs: settings.eventRetentionMs,
    ...(settings.databaseUrl === undefined ? {} : { databaseUrl: settings.databaseUrl }),
    report: (message, error) => {
      if (error === undefined) app.log.info(message);
      else app.log.error({ err: error }, message);
    },
  }).catch((error: unknown) => {
    throw settings.databaseUrl === undefined ? error : databaseError(error);
  });
  undo.splice(-1, 0, () => controlPlane.close());

  const version = packageVersion();
  const port = await serve(app, {
    settings: { ...settings, apiKey },
    controlPlane,
    faults,
    status: async () => ({
      version,
      pid: process.pid,
      driver: driver.name,
      notEnforced: driver.notEnforced,
      machines: await countMachines(controlPlane),
      uptimeSeconds: Math.round((Date.now() - startedAt.getTime()) / 1000),
      stateDir,
    }),
  });
  const url = `http://${reachableHost(settings.host)}:${String(port)}`;
  const local: Local = {
    ...{ url, dedalus: `${url}/dedalus`, nullspace: `${url}/nullspace`, apiKey },
    ...{ stateDir, driver: driver.name, controlPlane, faults, close },
    [Symbol.asyncDispose]: close,
  };
  writeEndpoint(stateDir, {
    ...{ url, dedalus: local.dedalus, nullspace: local.nullspace, apiKey },
    ...{ pid: process.pid, startedAt: startedAt.toISOString(), version },
  });
  undo.push(() => {
    removeEndpoint(stateDir);
  });
  if (settings.ownProcess) keepMemorySmall();
  app.log.info({ url, driver: driver.name, stateDir }, "ready");
  return local;
}

/**
 * A burst of requests makes V8 reserve more than 100 MB for young objects and keep it. Requests here are small, and the
 * room that a start has made is enough for them: it stays as it is.
 */
const keepMemorySmall = (): void => {
  setFlagsFromString("--semi-space-growth-factor=1");
};

/** Says where the trouble is; the URL is not repeated, since it may hold a password. */
function databaseError(error: unknown): Error {
  const { message, code } = error as NodeJS.ErrnoException;
  const words = message || code || String(error);
  return new Error(`the database of DATABASE_URL cannot be used: ${words}`, { cause: error });
}

async function countMachines({ machines }: ControlPlane): Promise<number> {
  let count = 0;
  let cursor: string | undefined;
  do {
    const found = await machines.list({ limit: 1000, ...(cursor === undefined ? {} : { cursor }) });
    count += found.items.length;
    cursor = found.nextCursor;
  } while (cursor !== undefined);
  return count;
}

/** An address that listens everywhere is not one to connect to. */
function reachableHost(host: string): string {
  if (host === "0.0.0.0" || host === "::") return "127.0.0.1";
  return host.includes(":") ? `[${host}]` : host;
}
