/** A process that holds thousands of status streams open, on bare sockets so that it costs little itself. */
import { connect } from "node:net";
import { monotonicMs } from "./clock.mjs";
import { answer, openFilesLimit } from "./helper-process.mjs";

/** Connections on their way at once: a burst would overflow the listener's queue. */
const connectingAtOnce = 100;
const sockets = [];
/** The event that is waited for, and when each stream got it. */
let expected;

function open({ host, port, path, apiKey }) {
  return new Promise((resolve, reject) => {
    const socket = connect({ host, port, noDelay: true });
    let opened = false;
    let told;
    let tail = "";
    socket.setEncoding("latin1");
    socket.write(
      `GET ${path} HTTP/1.1\r\nhost: ${host}:${String(port)}\r\nauthorization: Bearer ${apiKey}\r\naccept: text/event-stream\r\n\r\n`,
    );
    socket.on("data", (text) => {
      const seen = tail + text;
      tail = seen.slice(-40);
      if (!opened && seen.includes("\nid: ")) {
        if (!seen.startsWith("HTTP/1.1 200")) reject(new Error(`no stream: ${seen.slice(0, 200)}`));
        opened = true;
        resolve();
      } else if (!opened) tail = seen;
      if (expected && told !== expected && seen.includes(expected.marker)) {
        told = expected;
        expected.times.push(monotonicMs());
        if (expected.times.length === sockets.length) expected.done();
      }
    });
    socket.on("error", reject);
    socket.on("close", () => reject(new Error("the stream was closed before its first event")));
    sockets.push(socket);
  });
}

const requests = {
  start: () => ({ files: openFilesLimit() }),

  /** Opens a stream to each of these machines. */
  async open({ dedalus, apiKey, ids }) {
    const { hostname: host, port, pathname } = new URL(dedalus);
    const queue = [...ids];
    const worker = async () => {
      for (let id = queue.shift(); id !== undefined; id = queue.shift()) {
        await open({ host, port: Number(port), apiKey, path: `${pathname}/v1/machines/${id}/status/stream` });
      }
    };
    await Promise.all(Array.from({ length: connectingAtOnce }, worker));
    return sockets.filter((socket) => !socket.destroyed).length;
  },

  /** From now on, each stream's event with this revision is noted. */
  expect(revision) {
    let done;
    const all = new Promise((resolve) => (done = resolve));
    expected = { marker: `\nid: ${String(revision)}\n`, times: [], all, done };
  },

  /** When each of the streams got it. */
  async told() {
    await expected.all;
    return expected.times;
  },
};

answer(requests, () => {
  for (const socket of sockets) socket.destroy();
});
