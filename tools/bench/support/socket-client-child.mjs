/** A process that holds thousands of lifecycle sockets open, and notes when each is told of an event. */
import { WebSocket } from "ws";
import { monotonicMs } from "./clock.mjs";
import { answer, openFilesLimit } from "./helper-process.mjs";

/** Connections on their way at once: a burst would overflow the listener's queue. */
const connectingAtOnce = 100;
const sockets = [];
let times = [];
let done;
let all;

function open(url, apiKey) {
  return new Promise((resolve, reject) => {
    const socket = new WebSocket(url, {
      perMessageDeflate: false,
      headers: { authorization: `Bearer ${apiKey}` },
    });
    socket.once("open", () => socket.send(JSON.stringify({ type: "subscribe", live_only: true })));
    socket.once("message", () => {
      socket.on("message", () => {
        times.push(monotonicMs());
        if (times.length === sockets.length) done?.();
      });
      sockets.push(socket);
      resolve();
    });
    socket.on("error", reject);
    socket.on("close", (code) => reject(new Error(`a socket was closed with ${String(code)}`)));
  });
}

const requests = {
  start: () => ({ files: openFilesLimit() }),

  async open({ nullspace, apiKey, howMany }) {
    let left = howMany;
    const worker = async () => {
      while (left-- > 0) await open(`${nullspace.replace("http", "ws")}/v1/lifecycle/ws`, apiKey);
    };
    await Promise.all(Array.from({ length: connectingAtOnce }, worker));
    return sockets.filter((socket) => socket.readyState === WebSocket.OPEN).length;
  },

  /** From now on, the next event of each socket is noted. */
  expect() {
    times = [];
    all = new Promise((resolve) => (done = resolve));
  },

  /** When each of the sockets got it. */
  async told() {
    await all;
    return times;
  },
};

answer(requests, () => {
  for (const socket of sockets) socket.terminate();
});
