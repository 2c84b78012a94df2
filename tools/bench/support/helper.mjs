/** A script of this folder in a process of its own, as a measurement sees it. */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { fileURLToPath } from "node:url";

/**
 * Starts the script with as many file descriptors as the host allows, asks it to `start` with this argument, and talks
 * to it: `ask` sends a request and resolves with its answer, `on` gets what it tells unasked.
 */
export async function startHelper(name, argument) {
  const file = fileURLToPath(new URL(name, import.meta.url));
  const child = spawn(
    "/bin/sh",
    ["-c", 'ulimit -n "$(ulimit -Hn)"; exec "$0" "$@"', process.execPath, ...process.execArgv, file],
    { stdio: ["ignore", "inherit", "inherit", "ipc"] },
  );
  const waiting = new Map();
  const listeners = new Map();
  let asked = 0;
  const exited = once(child, "exit").then(([code, signal]) => {
    for (const { reject } of waiting.values()) {
      reject(new Error(`${name} ended with ${String(signal ?? code)}`));
    }
  });
  child.on("message", ({ answers, value, error, tells }) => {
    if (tells !== undefined) listeners.get(tells)?.(value);
    const promise = waiting.get(answers);
    waiting.delete(answers);
    if (error !== undefined) promise?.reject(new Error(error));
    else promise?.resolve(value);
  });
  const ask = (request, value) =>
    new Promise((resolve, reject) => {
      waiting.set(++asked, { resolve, reject });
      child.send({ asks: asked, name: request, value });
    });
  const close = async () => {
    child.disconnect();
    await exited;
  };
  const started = await ask("start", argument).catch(async (error) => {
    child.kill();
    await exited;
    throw error;
  });
  return { started, ask, on: (event, listener) => listeners.set(event, listener), close };
}
