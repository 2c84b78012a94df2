/**
 * The peers of exec streaming: a bare `ws` server that answers each command with frames from memory, or, at `/run`, with what
 * the command writes to a pipe. It keeps nothing.
 */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { WebSocketServer } from "ws";
import { answer } from "./helper-process.mjs";

let server;

const frame = (id, offset, data, bytes = data.length) =>
  JSON.stringify({ type: "exec_stdout", id, pid: 1, data, offset, bytes });

/** Sends as fast as the socket takes it, a bounded piece ahead. */
async function sendAll(socket, id, { bytes, frameBytes, line }) {
  const data = line.repeat(frameBytes / line.length);
  socket.send(JSON.stringify({ type: "exec_started", id, pid: 1, stdout_offset: 0, stderr_offset: 0 }));
  for (let offset = 0; offset < bytes; offset += frameBytes) {
    const sent = new Promise((resolve) => socket.send(frame(id, offset, data), resolve));
    if (socket.bufferedAmount > 1_048_576) await sent;
  }
  socket.send(
    JSON.stringify({ type: "exec_exit", id, pid: 1, exit_code: 0, stdout_bytes: bytes, stderr_bytes: 0 }),
  );
}

/** Runs the command, and sends what it writes. */
async function runAndSend(socket, { id, command }) {
  const child = spawn("sh", ["-c", command], { stdio: ["ignore", "pipe", "ignore"] });
  socket.send(JSON.stringify({ type: "exec_started", id, pid: 1, stdout_offset: 0, stderr_offset: 0 }));
  let offset = 0;
  for await (const piece of child.stdout) {
    const sent = new Promise((resolve) =>
      socket.send(frame(id, offset, piece.toString(), piece.length), resolve),
    );
    offset += piece.length;
    if (socket.bufferedAmount > 1_048_576) await sent;
  }
  socket.send(
    JSON.stringify({ type: "exec_exit", id, pid: 1, exit_code: 0, stdout_bytes: offset, stderr_bytes: 0 }),
  );
}

const requests = {
  async start(shape) {
    server = new WebSocketServer({ host: "127.0.0.1", port: 0, perMessageDeflate: false });
    server.on("connection", (socket, { url }) => {
      socket.on("message", (text) => {
        const asked = JSON.parse(text.toString());
        if (asked.type !== "exec_start") return;
        void (url.startsWith("/run/") ? runAndSend(socket, asked) : sendAll(socket, asked.id, shape));
      });
    });
    await once(server, "listening");
    return { url: `http://127.0.0.1:${String(server.address().port)}` };
  },
};

answer(requests, () => {
  for (const client of server.clients) client.terminate();
  server.close();
});
