import { backends } from "../../../provider/src/controlplane/capabilities";
import { unknownValue } from "../../../provider/src/hidden";
import { webhookReference } from "../../../provider/src/webhook/reference";
import { core } from "../../../provider/src/webhook/lifecycle";
import { isSameUrl, urlProblem } from "../../../provider/src/webhook/url";

const good = { url: "https://example.com/hook", operations: ["create"], secret: "whsec-1" };
const check = (args: object, backend: (typeof backends)[number] = "local") =>
  core.check({}, { ...good, ...args }, { backend });

test("fills in the defaults, and keeps what it does not know yet", () => {
  expect(check({})).toEqual({ inputs: { ...good, enabled: true }, failures: [] });
  const unknown = { url: unknownValue, operations: [unknownValue], secret: unknownValue };
  expect(check(unknown)).toEqual({ inputs: { ...unknown, enabled: true }, failures: [] });
});

test.each([
  [{ url: undefined }, "", "url must be a URL, such as https://example.com/hook"],
  [{ url: "example.com" }, "", "url must be a whole URL, such as https://example.com/hook"],
  [{ url: "http://example.com" }, "", "url must begin with https:// (http:// is for the loopback"],
  [{ url: "ftp://localhost" }, "", "url must begin with https://"],
  [{ url: "https://me:pw@example.com" }, "", "url must hold no user name and no password"],
  [{ url: `https://example.com/${"x".repeat(2_048)}` }, "", "url must have at most 2048 characters"],
  [{ operations: undefined }, "operations", "must be a list of lifecycle operations"],
  [{ operations: [] }, "operations", "must hold at least one of create, destroy, "],
  [{ operations: ["create", "boot"] }, "operations", "operations.1 is no operation; known are create, "],
  [{ secret: undefined }, "", "secret must be a text"],
  [{ secret: "" }, "", "secret must not be empty"],
  [{ secret: "s".repeat(1_025) }, "", "secret must have at most 1024 characters"],
  [{ enabled: "yes" }, "enabled", "must be true or false"],
  [{ timeouts: { create: "3h" } }, "timeouts", "must be from 1s to 2h"],
  [{ color: "green" }, "color", "is no argument of a Webhook"],
])("refuses arguments, %#", (args, property, reason) => {
  const { failures } = check(args);
  expect(failures).toHaveLength(1);
  expect(failures[0]).toMatchObject({ property, reason: expect.stringContaining(reason) as string });
});

test("no refusal holds the secret or the URL, nor names the property whose value Pulumi would print", () => {
  const { failures } = check({
    url: "http://token-1.example.com/",
    secret: "x".repeat(2_000),
    operations: [],
  });
  expect(failures).toHaveLength(3);
  expect(JSON.stringify(failures)).not.toMatch(/token-1|xxx/);
  expect(failures.map(({ property }) => property)).toEqual(["", "operations", ""]);
});

test("a backend without webhooks is refused, by name", () => {
  expect(backends.filter((backend) => check({}, backend).failures.length === 0)).toEqual([
    "local",
    "nullspace",
  ]);
  expect(check({}, "dedalus").failures).toEqual([
    { property: "operations", reason: 'the backend "dedalus" has no webhooks: it cannot have a Webhook' },
  ]);
});

test.each([
  ["http://localhost:80/x", undefined],
  ["http://hook.localhost/x", undefined],
  ["http://127.1.2.3/x", undefined],
  ["http://[::1]:80/x", undefined],
  ["http://localhost.example.com/x", expect.any(String)],
  ["http://128.0.0.1/x", expect.any(String)],
])("%s over http", (url, problem) => {
  expect(urlProblem(url)).toEqual(problem);
});

test("a URL is the same in another spelling", () => {
  expect(isSameUrl("https://Example.com", "https://example.com/")).toBe(true);
  expect(isSameUrl("https://example.com/a", "https://example.com/b")).toBe(false);
});

test.each([
  [{}, false],
  [{ operations: ["create", "create"] }, false],
  [{ url: "https://EXAMPLE.com/hook" }, false],
  [{ url: "https://example.com/other" }, true],
  [{ url: unknownValue }, true],
  [{ secret: "whsec-2" }, true],
  [{ enabled: false }, true],
  [{ operations: ["create", "fork"] }, true],
  [{ timeouts: { create: "1m", update: "1m", delete: "1m" } }, true],
])("a change of %j never replaces", (news, changes) => {
  const { inputs } = check({});
  expect(core.diff({ ...inputs, hasSecret: true }, { ...inputs, ...news })).toEqual({
    changes,
    replaces: [],
  });
});

test("every argument and output is described", () => {
  const entries = webhookReference();
  expect(entries.filter(({ description }) => description === "")).toEqual([]);
  expect(entries.filter(({ required }) => required).map(({ name }) => name)).toEqual([
    "url",
    "operations",
    "secret",
  ]);
});
