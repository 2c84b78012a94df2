/** The Webhook over a real embedded control plane, which really sends. */
import { verifyWebhook } from "@pulumi-machines/sdk";
import { core } from "../../../provider/src/webhook/lifecycle";
import { eventually } from "../../e2e/support/run";
import { never, running } from "../controlplane/embedded";
import { initFailure } from "../seams/world";
import { secret, url, WebhookWorld, type Properties } from "./embedded-world";
import { Receiver, type Got } from "./receiver";

let world: WebhookWorld;
beforeAll(async () => {
  world = await WebhookWorld.start();
}, 60_000);
afterAll(() => world.close());
beforeEach(() => world.reset());

const update = (id: string, olds: Properties, args: Properties) =>
  world.run("audit", (context) => core.update(context, id, olds, world.inputs("audit", args)));
const read = (id: string, state: Properties) =>
  world.run("audit", (context) => core.read(context, id, state));
const remove = (id: string, state: Properties) =>
  world.run("audit", (context) => core.remove(context, id, state));
const get = (id: string) => world.plane.webhooks.get(id, { signal: never });
const rejection = async (work: Promise<unknown>): Promise<string> =>
  work.then(
    () => "",
    (error: unknown) => (error as Error).message,
  );

test("is made, read, changed in place and deleted", async () => {
  const { id, outs } = await world.create("audit");
  expect(outs).toMatchObject({
    ...{ url, operations: ["create", "destroy"], secret, enabled: true, hasSecret: true },
    createdAt: expect.stringMatching(/^\d{4}-/) as string,
    updatedAt: expect.stringMatching(/^\d{4}-/) as string,
    __generation: 0,
  });
  expect(await read(id, outs)).toEqual({ props: outs });
  const other = { url: "https://127.0.0.1:9/other", operations: ["fork"], enabled: false };
  const changed = await update(id, outs, other);
  expect(changed).toMatchObject({ ...other, __generation: 0, __key: outs.__key });
  expect(await get(id)).toMatchObject({ ...other, hasSecret: true });
  expect(await world.ids()).toEqual([id]);
  await remove(id, changed);
  expect(await world.ids()).toEqual([]);
  expect(await read(id, changed)).toBeUndefined();
  await remove(id, changed);
});

test("one that is there is taken over and becomes what is asked for, and its old entry leaves it alone", async () => {
  const by = {
    url: "https://127.0.0.1:9/by-hand",
    operations: ["fork"],
    secret: "whsec-by-hand",
    enabled: false,
  };
  const { id } = await world.plane.webhooks.create(by, { signal: never });
  const adopted = await world.create("audit", { adopt: id });
  expect(adopted.id).toBe(id);
  expect(await get(id)).toMatchObject({ url, operations: ["create", "destroy"], enabled: true });
  expect(core.diff(adopted.outs, world.inputs("audit")).changes).toBe(false);
  await remove(id, { ...adopted.outs, __key: "of an older entry" });
  expect(await world.ids()).toEqual([id]);
  await expect(world.create("audit", { adopt: "0c4a7a3e-0000-4000-8000-000000000000" })).rejects.toThrow(
    /names no webhook/,
  );
  await remove(id, adopted.outs);
  expect(await world.ids()).toEqual([]);
});

test("sends what happens, signed with the secret, and with the new one after it was changed", async () => {
  const receiver = new Receiver();
  const target = await receiver.open();
  const isOf = (machineId: string) => (got: Got) => got.body.includes(machineId.replace(/^dm-/, ""));
  try {
    const { id, outs } = await world.create("audit", { url: target, operations: ["create"] });
    const first = await receiver.receives(isOf(await running(world.plane)));
    expect(verifyWebhook({ ...first, secret }).event.operation).toBe("create");
    const changed = await update(id, outs, { url: target, operations: ["create"], secret: "whsec-second" });
    const second = await receiver.receives(isOf(await running(world.plane)));
    expect(verifyWebhook({ ...second, secret: "whsec-second" }).event.operation).toBe("create");
    expect(() => verifyWebhook({ ...second, secret })).toThrow("fits none of the secrets");
    await eventually("the delivery in the state", async () =>
      (await read(id, changed))?.props.lastDeliveryStatus === "succeeded" ? true : undefined,
    );
    expect(await read(id, changed)).toMatchObject({
      props: { lastDeliveryAt: expect.stringMatching(/^\d{4}-/) as string },
    });
  } finally {
    await receiver.close();
  }
});

test("a refresh says what was changed outside, and an update changes it back", async () => {
  const { id, outs } = await world.create("audit");
  const elsewhere = { url: "https://127.0.0.1:9/elsewhere", enabled: false, operations: ["fork"] };
  await world.plane.webhooks.update(id, elsewhere, { signal: never });
  const found = await read(id, outs);
  expect(found?.props).toMatchObject({ ...elsewhere, secret });
  expect(found?.inputs).toEqual({ ...world.inputs("audit"), ...elsewhere });
  expect(world.lines).toEqual([
    `warning: webhook "audit" (${id}) was changed outside of Pulumi: url, operations, enabled; "pulumi up" changes it back`,
  ]);
  expect(core.diff(found?.props ?? {}, world.inputs("audit"))).toEqual({ changes: true, replaces: [] });
  await update(id, found?.props ?? {}, {});
  expect(await get(id)).toMatchObject({ url, enabled: true, operations: ["create", "destroy"] });
});

test("the order of the operations, and a URL that says the same, are no drift", async () => {
  const args = { operations: ["destroy", "create", "create"], url: "https://LOCALHOST:443/hook" };
  const { id, outs } = await world.create("audit", args);
  await world.plane.webhooks.update(
    id,
    { operations: ["create", "destroy"], url: "https://localhost/hook" },
    { signal: never },
  );
  const found = await read(id, outs);
  expect(found).not.toHaveProperty("inputs");
  expect(found?.props).toMatchObject(args);
  expect(core.diff(found?.props ?? {}, world.inputs("audit", args)).changes).toBe(false);
});

test("of a webhook that is only read there is no secret", async () => {
  const { id } = await world.create("audit");
  const found = await read(id, { __provider: "loader" });
  expect(found?.props).toMatchObject({
    url,
    operations: ["create", "destroy"],
    enabled: true,
    hasSecret: true,
  });
  expect(found?.props).not.toHaveProperty("secret");
  expect(found).not.toHaveProperty("inputs");
});

test("one that was deleted outside is named when it is to be changed", async () => {
  const { id, outs } = await world.create("audit");
  await world.plane.webhooks.delete(id, { signal: never });
  expect(await rejection(update(id, outs, { enabled: false }))).toBe(
    `webhook "audit" (${id}) was not changed: it does not exist any more, it was deleted outside of Pulumi; ` +
      `"pulumi up --refresh" makes a new one`,
  );
});

test("a URL that the service refuses is refused in its words", async () => {
  const text = await rejection(world.create("audit", { url: "https://169.254.169.254/latest" }));
  expect(text).toMatch(
    /^webhook "audit" was not made: .*the webhook's url cannot be used: 169\.254\.169\.254 is/,
  );
  expect(await world.ids()).toEqual([]);
});

test("a service that repeats the secret in its refusal does not get it onto the terminal", async () => {
  const refuse = { status: 400, errorCode: "invalid_request", message: `no: ${secret}`, retryable: false };
  world.fault("POST", { refuse });
  expect(await rejection(world.create("audit"))).toMatch(/^webhook "audit" was not made: .*no: \[secret\]/);
  world.local.faults.replace({ rules: [] });
  const { id, outs } = await world.create("audit");
  world.fault("PATCH", { refuse });
  expect(await rejection(update(id, outs, { enabled: false }))).toMatch(/was not changed: .*no: \[secret\]/);
});

test("a service that is busy is waited for, with the reason on the terminal", async () => {
  const refuse = { status: 429, errorCode: "rate_limit_exceeded", message: "slow down", retryable: true };
  world.fault("POST", { times: 4, refuse: { ...refuse, retryAfterMs: 10 } });
  const { id, outs } = await world.create("audit");
  expect(world.lines.join("\n")).toMatch(/slow down.*; trying again in /);
  expect(await world.ids()).toEqual([id]);
  world.lines = [];
  world.fault("PATCH", { times: 4, refuse: { ...refuse, retryAfterMs: 10 } });
  expect(await update(id, outs, { enabled: false })).toMatchObject({ enabled: false });
  world.fault("DELETE", { times: 4, refuse: { ...refuse, retryAfterMs: 10 } });
  await remove(id, outs);
  expect(await world.ids()).toEqual([]);
});

test("what could not be done in time says so", async () => {
  const { id, outs } = await world.create("audit");
  world.fault("DELETE", { delayMs: 5_000 });
  const late = world.run("audit", (context) => core.remove(context, id, outs), { allowedMs: 200 });
  expect(await rejection(late)).toMatch(
    /^webhook "audit" \(.+\) was not deleted: not within .* \(timeouts\.delete\)\. It stays in the stack$/,
  );
});

test("one that an interrupted create left, and that cannot be brought into line, is in the stack with its reason", async () => {
  const left = await world.killed("audit");
  const refuse = { status: 400, errorCode: "invalid_request", message: "not so", retryable: false };
  world.fault("PATCH", { refuse });
  const failure = await initFailure(world.create("audit", { secret: "whsec-second" }));
  expect(failure.id).toBe(left);
  expect(await world.ids()).toEqual([left]);
  expect(failure.properties).toMatchObject({ url, __generation: 0 });
  expect(failure.reasons[0]).toMatch(/was not changed: .*not so/);
  world.local.faults.replace({ rules: [] });
  await update(failure.id, failure.properties, { secret: "whsec-second" });
});
