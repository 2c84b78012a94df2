/** Watched folders of a scripted service, cut at every frame. */
import { FileWatch, type FileChange, type WatchOptions } from "../../../sdk/src/nullspace/file-watch";
import { rawOf, socketServer, type SocketServer } from "../socket-server";
import { failureOf } from "./client-to";
import { contextOf, key, type TestContext } from "./exec-client";

const open: AsyncDisposable[] = [];
afterEach(async () => {
  for (const each of open.splice(0).reverse()) await each[Symbol.asyncDispose]();
});

interface Service {
  /** Names of the files that change, one list for each connection; each but the last one is cut at its end. */
  connections: string[][];
  /** Ends of connections come within a frame. */
  within?: boolean;
  /** In place of all else, once a watch is asked for. */
  frames?: (object | string)[];
  /** Waited for before the answer. */
  answersAfter?: Promise<unknown>;
}

async function serve(service: Service): Promise<{
  fake: SocketServer;
  asked: unknown[];
  context: TestContext;
  watch: (options?: WatchOptions) => FileWatch;
}> {
  const asked: unknown[] = [];
  const fake = await socketServer({
    socket: (ws, count) =>
      ws.on("message", (data: Buffer) => {
        const frame = JSON.parse(data.toString()) as { id: string };
        asked.push(frame);
        const send = (sent: object | string): void =>
          ws.send(typeof sent === "string" ? sent : JSON.stringify({ id: frame.id, ...sent }));
        void (async () => {
          await service.answersAfter;
          if (service.frames) return service.frames.forEach(send);
          send({ type: "file_watch_started" });
          for (const name of service.connections[count - 1] ?? [])
            send({ type: "file_event", event: "create", name, path: `/srv/${name}` });
          if (count >= service.connections.length) return;
          if (service.within) rawOf(ws).write(Buffer.from([0x81, 100, 0x7b]), () => rawOf(ws).destroy());
          else rawOf(ws).end();
        })();
      }),
  });
  const context = contextOf(fake.url);
  open.push(fake, context);
  return {
    ...{ fake, asked, context },
    watch: (options = {}) => new FileWatch(context, "mch_1", "/srv", options),
  };
}

/** Names of files, and `<gap>`, up to a name. */
async function upTo(last: string, changes: AsyncIterable<FileChange>): Promise<string[]> {
  const seen: string[] = [];
  for await (const change of changes) {
    seen.push(change.kind === "gap" ? "<gap>" : change.name);
    if (seen.at(-1) === last) break;
  }
  return seen;
}

test("asks in the wire's words, and hands on what comes", async () => {
  const { fake, asked, watch } = await serve({ connections: [["a", "b"]] });
  const changes = watch({ recursive: true, user: "1000" })[Symbol.asyncIterator]();
  const change = { kind: "change", event: "create", name: "a", path: "/srv/a" };
  expect((await changes.next()).value).toEqual(change);
  await changes.return?.();
  const id = expect.any(String) as string;
  expect(asked).toEqual([{ type: "file_watch", id, path: "/srv", recursive: true, user: "1000" }]);
  expect(fake.upgrades).toEqual(["/v1/machines/mch_1/ws"]);
});

const names = ["a", "b", "c", "d"];
const places = names.flatMap((_, at) => [false, true].map((within) => ({ at, within })));
test.each(places)(
  "cut after $at changes (within a frame: $within): none of those that came is lost, and a gap says where more may be",
  async ({ at, within }) => {
    const { watch } = await serve({ connections: [names.slice(0, at), [], names.slice(at), []], within });
    const seen = await upTo("d", watch());
    expect(seen).toEqual([...names.slice(0, at), "<gap>", "<gap>", ...names.slice(at)]);
  },
);

test("its time begins when it stands: one shorter than the answer takes resolves all the same", async () => {
  const answersAfter = new Promise((resolve) => setTimeout(resolve, 40));
  const { watch } = await serve({ connections: [[]], answersAfter });
  const short = watch({ timeoutMs: 1 });
  await short.started;
  for await (const change of short) throw new Error(`there was ${change.kind}`);
});

test("its time goes on over cuts", async () => {
  const { watch } = await serve({ connections: [...Array.from({ length: 500 }, () => []), []] });
  for await (const change of watch({ timeoutMs: 30 })) expect(change).toEqual({ kind: "gap" });
});

test("stopped before it stands, it says so to whoever waits for it", async () => {
  const { watch } = await serve({ connections: [[]], answersAfter: new Promise(() => undefined) });
  const waiting = watch();
  await Promise.all([
    expect(waiting.started).rejects.toMatchObject({ code: "watch_stopped" }),
    waiting.stop(),
  ]);
});

test("what is refused is an error with the service's code and without the key", async () => {
  const refusal = { type: "error", message: `no ${key} here`, code: "FILE_NOT_FOUND" };
  const { watch } = await serve({ connections: [], frames: [refusal] });
  const error = await failureOf(watch().started);
  expect(error).toMatchObject({ name: "NotFoundError", code: "file_not_found", machineId: "mch_1" });
  expect(error.message).not.toContain(key);
});

test.each(["{", "[]", '{"type":"file_event","id":"watch"}', { type: "error", message: "gone" }])(
  "what came before %j is handed on, then it is told",
  async (bad) => {
    const event = { type: "file_event", event: "write", name: "a", path: "/srv/a" };
    const others = [{ type: "file_weather" }, { ...event, id: "another", name: "no" }];
    const frames = [...others, { type: "file_watch_started" }, ...others, event, bad];
    const { watch } = await serve({ connections: [], frames });
    const changes = watch()[Symbol.asyncIterator]();
    expect((await changes.next()).value).toMatchObject({ name: "a" });
    const code = typeof bad === "string" ? "unreadable_frame" : "file_watch_failed";
    expect(await failureOf(changes.next())).toMatchObject({ code });
  },
);

test("the client's end ends it", async () => {
  const { context, watch } = await serve({ connections: [[]] });
  const standing = watch();
  await standing.started;
  const reading = failureOf(standing[Symbol.asyncIterator]().next());
  await context[Symbol.asyncDispose]();
  expect(await reading).toMatchObject({ code: "client_closed" });
});
