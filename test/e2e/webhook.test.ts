/** Webhooks and questions of a program, through the real CLI, with deliveries that really come. */
import { startLocal } from "@pulumi-machines/local";
import { verifyWebhook } from "@pulumi-machines/sdk";
import { copyFileSync, readdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { Receiver } from "../provider/webhook/receiver";
import { killMarked, marked } from "./support/processes";
import { eventually } from "./support/run";
import { Stack, type RecordedResource } from "./support/stack";

jest.setTimeout(120_000);
const small = { vcpu: 0.25, memoryMiB: 256, storageGiB: 1 };
const secrets = ["whsec-first-of-the-shop", "whsec-second-of-the-shop", "whsec-plain-of-the-shop"] as const;
const [first, second, plain] = secrets;

describe("webhooks of a stack", () => {
  const stack = new Stack();
  const receiver = new Receiver();
  let local: Awaited<ReturnType<typeof startLocal>>;
  let url: string;
  const said: string[] = [];

  beforeAll(async () => {
    copyFileSync(join(__dirname, "support", "webhooks.cjs"), join(stack.project, "program.cjs"));
    const stateDir = join(stack.folder, "state", "local");
    local = await startLocal({ stateDir, port: 0, driver: "null", allowHttpWebhooks: true });
    url = await receiver.open();
    await stack.must("stack", "init");
    await stack.must("config", "set", "--secret", "hook", first);
  });
  afterAll(async () => {
    await stack.dispose();
    await local.close();
    await receiver.close();
  });

  const program = (asked: object): void =>
    writeFileSync(join(stack.project, "webhooks.json"), JSON.stringify(asked));
  const run = async (...args: string[]): Promise<string> => {
    const text = await stack.must(...args);
    said.push(text);
    return text;
  };
  const up = (asked: object): Promise<string> => {
    program(asked);
    return run("up", "--yes", "--skip-preview");
  };
  const named = (name: string): RecordedResource | undefined =>
    stack.resources().find(({ urn }) => urn.endsWith(`::${name}`));
  const outputs = async (): Promise<Record<string, unknown>> =>
    JSON.parse(await stack.must("stack", "output", "--json")) as Record<string, unknown>;
  const webhookIds = async (): Promise<string[]> =>
    (await local.controlPlane.webhooks.list()).map(({ id }) => id);

  const audit = (more: object = {}) => ({
    audit: { args: { url, operations: ["create"], secret: "config:hook", ...more } },
  });

  test("a deploy is told to the receiver, signed, and the program asks about its machine", async () => {
    await up({ webhooks: audit(), machines: { web: small }, questions: {} });
    const got = await receiver.receives(({ body }) => body.includes('"succeeded"'));
    expect(verifyWebhook({ ...got, secret: first }).event.operation).toBe("create");
    expect(named("audit")?.outputs).toMatchObject({ url, enabled: true, hasSecret: true });
    expect(await outputs()).toMatchObject({ "web-asked": "running", "web-told": 1, counted: 0 });
  });

  test("a preview asks, too, and there is nothing to do", async () => {
    const machine = named("web")?.id;
    program({ webhooks: audit(), machines: { web: small }, questions: { phases: ["running"] }, machine });
    expect(await run("preview")).toMatch(/there are 1 machines/);
    await run("up", "--yes", "--skip-preview", "--expect-no-changes");
    expect(await outputs()).toMatchObject({ counted: 1, known: { id: machine, phase: "running" } });
  });

  test("a question that has no answer ends the program in clear words", async () => {
    const machine = "dm-00000000-0000-7000-8000-000000000000";
    program({ webhooks: audit(), machines: { web: small }, machine });
    const { code, text } = await stack.pulumi("preview");
    expect(code).not.toBe(0);
    expect(text).toContain(`getMachine: the backend "local": there is no machine ${machine}`);
    expect(text).not.toMatch(/at .*\.js:\d+/);
  });

  test("a new secret is an update, and signs what comes next", async () => {
    const id = named("audit")?.id;
    await stack.must("config", "set", "--secret", "hook", second);
    expect(await up({ webhooks: audit(), machines: { web: small, worker: small } })).toMatch(
      /Webhook audit updated/,
    );
    expect(named("audit")?.id).toBe(id);
    const worker = String(named("worker")?.id).replace("dm-", "");
    const got = await receiver.receives(({ body }) => body.includes(worker));
    expect(verifyWebhook({ ...got, secret: second }).event.operation).toBe("create");
  });

  test("what was changed outside is told by a refresh, shown by a preview, and changed back", async () => {
    const id = String(named("audit")?.id);
    await local.controlPlane.webhooks.update(id, { enabled: false, operations: ["fork"] });
    expect(await run("refresh", "--yes", "--skip-preview")).toMatch(
      /webhook "audit" \(.+\) was changed outside of Pulumi: operations, enabled; "pulumi up" changes it back/,
    );
    expect(await run("preview", "--diff")).toMatch(/enabled\s*: false => true/);
    await run("up", "--yes", "--skip-preview");
    expect(await local.controlPlane.webhooks.get(id)).toMatchObject({
      enabled: true,
      operations: ["create"],
    });
  });

  test("one that was deleted by hand is dropped by a refresh, and made anew", async () => {
    const before = String(named("audit")?.id);
    await local.controlPlane.webhooks.remove(before);
    await run("up", "--yes", "--skip-preview", "--refresh");
    expect(named("audit")?.id).not.toBe(before);
    expect(await webhookIds()).toEqual([named("audit")?.id]);
  });

  test("a deploy that is killed in the middle of one leaves one, and the next deploy finds it", async () => {
    const own = { url, operations: ["destroy"], secret: plain };
    program({ webhooks: { ...audit(), killed: { args: own } }, machines: { web: small, worker: small } });
    const path = "/v1/lifecycle/webhooks";
    local.faults.replace({
      rules: [
        { on: "request", method: "POST", path, times: 1, after: 0, delayMs: 0, loseAnswer: true },
        // The first look is before the create; nobody gets to see what came of it.
        { on: "request", method: "GET", path, after: 1, delayMs: 20_000, loseAnswer: false },
      ],
    });
    const deploy = stack.begin("up", "--yes", "--skip-preview");
    const left = await eventually("the webhook", async () =>
      (await webhookIds()).find((id) => id !== named("audit")?.id),
    );
    killMarked(stack.mark);
    said.push((await deploy.ended).text);
    await eventually("the end of the run", () => (marked(stack.mark).length === 0 ? true : undefined));
    stack.unlock();
    local.faults.replace({ rules: [] });
    expect(named("killed")).toBeUndefined();
    await run("up", "--yes", "--skip-preview");
    expect(named("killed")?.id).toBe(left);
    expect(await webhookIds()).toHaveLength(2);
  });

  test("the same webhook by its id, read only", async () => {
    const id = named("audit")?.id;
    await up({ webhooks: { ...audit(), seen: { get: id } }, machines: { web: small, worker: small } });
    expect(named("seen")).toMatchObject({ id, external: true, outputs: { url, hasSecret: true } });
    expect(await outputs()).toMatchObject({ seen: { url, enabled: true, hasSecret: true } });
    expect(await webhookIds()).toEqual([id]);
  });

  test("what cannot be is refused at preview, without the values that may be secret", async () => {
    const token = "token-in-the-url";
    program({
      webhooks: audit({ url: `http://${token}.example.com`, secret: plain.repeat(60), operations: [] }),
    });
    const wrong = (await stack.pulumi("preview")).text;
    expect(wrong).toMatch(/url must begin with https:\/\//);
    expect(wrong).toMatch(/secret must have at most 1024 characters/);
    expect(wrong).toMatch(/property operations value .* must hold at least one of create/);
    expect(wrong).not.toContain(token);
    said.push(wrong);
    stack.env.MACHINES_BACKEND = "dedalus";
    program({ webhooks: { other: { args: { url, operations: ["create"], secret: "x-1" } } } });
    expect((await stack.pulumi("preview")).text).toMatch(
      /property operations value .* has a problem: the backend "dedalus" has no webhooks/,
    );
    delete stack.env.MACHINES_BACKEND;
  });

  test("a URL that the service refuses is refused in its words", async () => {
    const args = { url: "https://169.254.169.254/latest", operations: ["create"], secret: plain };
    program({ webhooks: { ...audit(), other: { args } }, machines: { web: small, worker: small } });
    const { text } = await stack.pulumi("up", "--yes", "--skip-preview");
    expect(text).toMatch(/webhook "other" was not made: .*cannot be used: 169\.254\.169\.254 is/);
    said.push(text);
  });

  test("destroy deletes it, and no secret was ever written or said", async () => {
    await run("destroy", "--yes", "--skip-preview");
    expect(await webhookIds()).toEqual([]);
    const files = filesBelow(stack.folder).filter(
      // The service's own store keeps it, and so does the program that said it in plain text.
      (file) => !file.startsWith(join(stack.folder, "state", "local")) && !file.endsWith("webhooks.json"),
    );
    const texts = [...files.map((file) => readFileSync(file, "utf8")), ...said];
    expect(files.some((file) => file.includes("history"))).toBe(true);
    for (const secret of secrets) expect(texts.filter((text) => text.includes(secret))).toEqual([]);
  });
});

const filesBelow = (folder: string): string[] =>
  readdirSync(folder, { withFileTypes: true }).flatMap((entry) => {
    const path = join(folder, entry.name);
    if (entry.isDirectory()) return filesBelow(path);
    return entry.isFile() && statSync(path).size < 50_000_000 ? [path] : [];
  });
