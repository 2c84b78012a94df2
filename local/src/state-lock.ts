/**
 * One control plane per state folder. The lock is an exclusive transaction on a small SQLite file: the system drops it
 * when its process ends, however that ends, so that no stale lock is ever left.
 */
import { existsSync } from "node:fs";
import { DatabaseSync } from "node:sqlite";
import {
  type Endpoint,
  type Holder,
  readEndpoint,
  readHolder,
  statePaths,
  writeHolder,
} from "./state-folder";

/** Another control plane holds the state folder. */
export class StateHeldError extends Error {
  override readonly name = "StateHeldError";
  constructor(
    readonly stateDir: string,
    readonly holder: Holder | undefined,
    readonly endpoint: Endpoint | undefined,
  ) {
    const who = holder
      ? `process ${String(holder.pid)}${endpoint ? ` at ${endpoint.url}` : ", which is just starting or stopping"}`
      : "another process";
    super(
      `The state folder ${stateDir} is held by a control plane that runs already: ${who}. ` +
        `Use that one, stop it ("machines-local stop --state ${stateDir}"), or start with another --state folder.`,
    );
  }
}

export interface StateLock {
  release(): void;
}

/** SQLITE_BUSY: somebody else holds the lock. */
const busy = 5;
/** `heldBy` of another process takes the lock for an instant: not a reason to refuse a start. */
const patienceMs = 300;

/** @throws StateHeldError */
export function lockState(stateDir: string, { ownProcess = false } = {}): StateLock {
  const db = take(stateDir, patienceMs);
  if (!db) {
    const { holder, endpoint } = holderOf(stateDir);
    throw new StateHeldError(stateDir, holder, endpoint);
  }
  writeHolder(stateDir, { pid: process.pid, startedAt: new Date().toISOString(), ownProcess });
  return {
    release: () => {
      db.close();
    },
  };
}

/** Who holds the state folder just now; undefined when nobody does. */
export function heldBy(stateDir: string): { holder?: Holder; endpoint?: Endpoint } | undefined {
  if (!existsSync(statePaths(stateDir).lock)) return undefined;
  const db = take(stateDir, 0);
  if (db) {
    db.close();
    return undefined;
  }
  const { holder, endpoint } = holderOf(stateDir);
  return { ...(holder ? { holder } : {}), ...(endpoint ? { endpoint } : {}) };
}

function take(stateDir: string, waitMs: number): DatabaseSync | undefined {
  const db = new DatabaseSync(statePaths(stateDir).lock);
  try {
    db.exec(`PRAGMA busy_timeout = ${String(waitMs)}; BEGIN EXCLUSIVE`);
    return db;
  } catch (error) {
    db.close();
    if ((error as { errcode?: number }).errcode === busy) return undefined;
    throw error;
  }
}

/** The endpoint counts only when the holder wrote it: an older one may be left of a kill. */
function holderOf(stateDir: string): { holder: Holder | undefined; endpoint: Endpoint | undefined } {
  const holder = readHolder(stateDir);
  const endpoint = readEndpoint(stateDir);
  return { holder, endpoint: endpoint?.pid === holder?.pid ? endpoint : undefined };
}
