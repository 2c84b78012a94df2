/** The API has no idempotency key: there is one webhook all the same, whatever happens in the middle of a create. */
import { realClock } from "../../../provider/src/context";
import { core } from "../../../provider/src/webhook/lifecycle";
import { removeInterruptedWebhooks } from "../../../provider/src/webhook/leftovers";
import { webhookKey } from "../../../provider/src/webhook/trace";
import { never } from "../controlplane/embedded";
import { operations, secret, url, urnOf, WebhookWorld } from "./embedded-world";

let world: WebhookWorld;
beforeAll(async () => {
  world = await WebhookWorld.start();
}, 60_000);
afterAll(() => world.close());
beforeEach(() => world.reset());

const spec = { url, operations, secret, enabled: true };
/** Somebody else's, with the same words. */
const another = () => world.plane.webhooks.create(spec, { signal: never });

/** A create that no answer came to, and no webhook. */
async function nobodyKnows(name: string): Promise<void> {
  const refuse = { status: 504, errorCode: "timeout", message: "no answer from behind", retryable: true };
  world.fault("POST", { refuse });
  // Waits of seconds only look again here.
  world.clock = { ...realClock, sleep: (ms, signal) => realClock.sleep(ms < 10_000 ? 0 : ms, signal) };
  await expect(world.create(name)).rejects.toThrow(
    /no answer from behind.* The service lists no webhook that came of it so far: "pulumi up" looks again, then makes one/,
  );
  world.clock = realClock;
  world.local.faults.replace({ rules: [] });
}

test("an answer that is lost is looked after, and there is one", async () => {
  world.fault("POST", { times: 1, loseAnswer: true });
  const { id } = await world.create("audit");
  expect(await world.ids()).toEqual([id]);
});

test("a run that is killed in the middle of it leaves one that the next run finds and brings into line", async () => {
  const left = await world.killed("audit");
  const { id, outs } = await world.create("audit", { operations: ["fork"], enabled: false });
  expect(id).toBe(left);
  expect(await world.ids()).toEqual([left]);
  expect(outs).toMatchObject({ operations: ["fork"], enabled: false });
  expect(await world.plane.webhooks.get(id, { signal: never })).toMatchObject({ operations: ["fork"] });
  expect(world.lines).toContain(`found again: ${left}, of a create that was interrupted`);
});

test("what was there before, and has the same words, is not taken for it, and is named", async () => {
  const { id: theirs } = await another();
  const left = await world.killed("audit");
  const { id } = await world.create("audit");
  expect(id).toBe(left);
  expect(await world.ids()).toEqual(expect.arrayContaining([theirs, left]));
  await world.create("fresh");
  expect(world.lines.join("\n")).toMatch(
    new RegExp(`warning: webhook "fresh": the service has others .*\\(${theirs}\\)`),
  );
});

test("a run that was killed before the request left nothing, and the next one makes it", async () => {
  world.fault("POST", {
    ...{ times: 1 },
    refuse: { status: 400, errorCode: "invalid_request", message: "no", retryable: false },
  });
  await expect(world.create("audit")).rejects.toThrow("was not made");
  world.restart();
  const { id, outs } = await world.create("audit");
  expect(await world.ids()).toEqual([id]);
  expect(outs).toMatchObject({ __generation: 0 });
});

test("where nobody knows what came of it, it is not sent again, and the next run looks first", async () => {
  await nobodyKnows("audit");
  // It came after all.
  const { id: late } = await another();
  world.restart();
  expect((await world.create("audit")).id).toBe(late);
  expect(await world.ids()).toEqual([late]);
});

test("a service that fails and has made nothing is asked again", async () => {
  world.fault("POST", {
    ...{ times: 1 },
    refuse: { status: 503, errorCode: "unavailable", message: "later", retryable: true, retryAfterMs: 10 },
  });
  const { id } = await world.create("audit");
  expect(await world.ids()).toEqual([id]);
});

test("several with the same words at once, each its own, also when answers are lost", async () => {
  world.fault("POST", { times: 3, loseAnswer: true });
  const names = ["one", "two", "three", "four"];
  const made = await Promise.all(names.map((name) => world.create(name)));
  expect(new Set(made.map(({ id }) => id)).size).toBe(4);
  expect((await world.ids()).sort()).toEqual(made.map(({ id }) => id).sort());
  expect(world.lines.filter((line) => line.startsWith("warning"))).toEqual([]);
});

test("one that another resource of this computer has made since is not taken for it", async () => {
  await nobodyKnows("audit");
  const { id: other } = await world.create("other");
  world.restart();
  const { id } = await world.create("audit");
  expect(id).not.toBe(other);
  expect(await world.ids()).toHaveLength(2);
});

test("what somebody makes after a create was refused is not taken for it", async () => {
  const refuse = { status: 400, errorCode: "invalid_request", message: "no", retryable: false };
  world.fault("POST", { times: 1, refuse });
  await expect(world.create("audit")).rejects.toThrow("was not made");
  const { id: theirs } = await another();
  world.restart();
  expect((await world.create("audit")).id).not.toBe(theirs);
  expect(await world.ids()).toHaveLength(2);
});

test("a replacement that is forced from outside is a new one", async () => {
  const { id, outs } = await world.create("audit");
  world.restart();
  world.saw(id, outs);
  const next = await world.create("audit");
  expect(next.id).not.toBe(id);
  expect(next.outs).toMatchObject({ __generation: 1 });
  await world.run("audit", (context) => core.remove(context, id, outs));
  expect(await world.ids()).toEqual([next.id]);
});

test("one that was deleted, and is asked for again, is made again", async () => {
  const { id, outs } = await world.create("audit");
  await world.run("audit", (context) => core.remove(context, id, outs));
  world.restart();
  expect((await world.create("audit")).id).not.toBe(id);
  expect(await world.ids()).toHaveLength(1);
});

test("one that was deleted by hand after an interrupted create is made anew", async () => {
  const { id } = await world.create("audit");
  await world.plane.webhooks.delete(id, { signal: never });
  world.restart();
  const again = await world.create("audit");
  expect(await world.ids()).toEqual([again.id]);
});

test("what an interrupted create left goes with the stack", async () => {
  const left = await world.killed("audit");
  const { id: theirs } = await another();
  await world.run("", (context) => removeInterruptedWebhooks(context, "stack-2"));
  expect(await world.ids()).toContain(left);
  world.seen.ids.add(theirs);
  await world.run("", (context) => removeInterruptedWebhooks(context, "stack-1"));
  expect(await world.ids()).toEqual([theirs]);
  expect(await world.journal.interrupted("webhooks:stack-1")).toEqual([]);
});

test("the journal holds no URL and no secret, and its keys are for ever", async () => {
  await world.create("audit");
  const text = JSON.stringify([...world.journal.entries]);
  expect(text).not.toContain(secret);
  expect(text).not.toContain("127.0.0.1");
  expect(webhookKey({ stackIdentity: "stack-1", urn: urnOf("audit") }, 0)).toBe(
    "pw1-a470269299e6da2b30c180bc9b154bf066084f3bdb207f69a69b93b283b198f5",
  );
});
