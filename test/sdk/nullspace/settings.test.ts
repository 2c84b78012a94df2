import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { inspect } from "node:util";
import { UsageError } from "../../../sdk/src/errors";
import { NullspaceClient } from "../../../sdk/src/nullspace/client";
import { findApiKey, findBaseUrl, realPlaces, type Places } from "../../../sdk/src/nullspace/credentials";
import { transportSettings, type NullspaceSettings } from "../../../sdk/src/nullspace/settings";
import { httpServer, sendJson } from "../loopback";
import { clientTo, closeAll, failureOf, serve } from "./client-to";

afterEach(closeAll);

const home = "/home/me";
const xdg = `${home}/.config/nullspace/config.json`;
const legacy = `${home}/.nullspace/config.json`;
const dotenv = "/work/.env";

const places = (files: Record<string, string>, environment: Places["environment"] = {}): Places => ({
  environment,
  workingFolder: "/work",
  homeFolder: home,
  readText: (path) => files[path],
});

describe("the key", () => {
  const everywhere = {
    environment: { NULLSPACE_API_KEY: " one ", NULLSPACE_TOKEN: "two" },
    files: {
      [dotenv]: "NULLSPACE_TOKEN=four\nNULLSPACE_API_KEY=three\n",
      [xdg]: '{"api_key":"five"}',
      [legacy]: '{"api_key":"six"}',
    },
  };

  test("is looked for in the vendor's order, place by place", () => {
    const environment: Record<string, string | undefined> = { ...everywhere.environment };
    const files: Record<string, string> = { ...everywhere.files };
    const found = () => findApiKey(places(files, environment));
    expect(found()).toBe("one");
    environment.NULLSPACE_API_KEY = "  ";
    expect(found()).toBe("two");
    delete environment.NULLSPACE_TOKEN;
    expect(found()).toBe("three");
    files[dotenv] = "NULLSPACE_TOKEN=four\nNULLSPACE_API_KEY=\n";
    expect(found()).toBe("four");
    delete files[dotenv];
    expect(found()).toBe("five");
    files[xdg] = '{"api_key": 5}';
    expect(found()).toBe("six");
    files[legacy] = "{";
    expect(found()).toBeUndefined();
  });

  test.each([
    ['NULLSPACE_API_KEY="quoted"', "quoted"],
    ["NULLSPACE_API_KEY='quoted'", "quoted"],
    ["  NULLSPACE_API_KEY = spaced ", "spaced"],
    ["NULLSPACE_API_KEY=a=b", "a=b"],
    ["NULLSPACE_API_KEY=windows\r", "windows"],
    ["# NULLSPACE_API_KEY=comment", undefined],
    ["export NULLSPACE_API_KEY=no", undefined],
    ["NULLSPACE_API_KEY", undefined],
  ])("of a .env line %j is %j", (line, expected) => {
    expect(findApiKey(places({ [dotenv]: `\n${line}\nOTHER=1\n` }))).toBe(expected);
  });

  test("in XDG_CONFIG_HOME comes before the one in the home folder", () => {
    const files = { "/xdg/nullspace/config.json": '{"api_key":"x"}', [xdg]: '{"api_key":"y"}' };
    expect(findApiKey(places(files, { XDG_CONFIG_HOME: "/xdg" }))).toBe("x");
  });

  test("given here wins, is trimmed, and an empty one does not fall through", () => {
    const somewhere = places({}, { NULLSPACE_API_KEY: "env" });
    expect(transportSettings({ apiKey: " given " }, somewhere).secrets).toEqual(["given"]);
    expect(transportSettings({}, somewhere).secrets).toEqual(["env"]);
    for (const apiKey of ["", "  "]) {
      expect(() => transportSettings({ apiKey }, somewhere)).toThrow(
        expect.objectContaining({ code: "missing_api_key" }) as Error,
      );
    }
  });
});

describe("the URL", () => {
  test("is looked for in the vendor's order", () => {
    const environment: Record<string, string | undefined> = {
      NULLSPACE_API_URL: "http://one",
      NULLSPACE_BASE_URL: "http://two",
    };
    const files: Record<string, string> = {
      [dotenv]: "NULLSPACE_API_URL=http://three\nNULLSPACE_BASE_URL=http://four",
      [xdg]: '{"base_url":"http://five","api_url":"http://seven"}',
      [legacy]: '{"base_url":"http://six","api_url":"http://eight"}',
    };
    const found = () => findBaseUrl(places(files, environment));
    expect(found()).toBe("http://one");
    delete environment.NULLSPACE_API_URL;
    expect(found()).toBe("http://two");
    delete environment.NULLSPACE_BASE_URL;
    expect(found()).toBe("http://three");
    files[dotenv] = "NULLSPACE_BASE_URL=http://four";
    expect(found()).toBe("http://four");
    delete files[dotenv];
    expect(found()).toBe("http://five");
    files[xdg] = '{"api_url":"http://seven"}';
    expect(found()).toBe("http://six");
    files[legacy] = '{"api_url":"http://eight"}';
    expect(found()).toBe("http://seven");
    files[xdg] = "[]";
    expect(found()).toBe("http://eight");
  });

  test.each([
    [undefined, "http://localhost:3000/"],
    ["  ", "http://localhost:3000/"],
    ["http://h:1/prefix//", "http://h:1/prefix"],
  ])("given as %j is %s", (baseUrl, expected) => {
    expect(transportSettings({ apiKey: "k", baseUrl }, places({})).baseUrl.href).toBe(expected);
  });
});

test.each<[string, NullspaceSettings, string]>([
  ["no key", {}, "missing_api_key"],
  ["a key with a line break", { apiKey: "sec\nret" }, "invalid_api_key"],
  ["a URL that is none", { apiKey: "k", baseUrl: "nullspace" }, "invalid_base_url"],
  ["a URL with a password", { apiKey: "k", baseUrl: "http://me:secret@h" }, "invalid_base_url"],
  ["no time", { apiKey: "k", timeoutMs: 0 }, "invalid_argument"],
  ["retries below none", { apiKey: "k", maxRetries: -1 }, "invalid_argument"],
])("%s is refused at once, without repeating it", (_name, settings, code) => {
  const make = () => transportSettings(settings, places({}));
  expect(make).toThrow(UsageError);
  expect(make).toThrow(expect.objectContaining({ code }) as Error);
  expect(make).not.toThrow(/secret/);
});

test("a real client finds its key and URL in files, when it is made and not before", async () => {
  const folder = mkdtempSync(join(tmpdir(), "nullspace-settings-"));
  const server = await httpServer((response) => sendJson(response, 200, { status: "ok" }));
  const kept = { ...process.env };
  try {
    for (const name of ["API_KEY", "TOKEN", "API_URL", "BASE_URL"]) delete process.env[`NULLSPACE_${name}`];
    process.env.XDG_CONFIG_HOME = folder;
    mkdirSync(join(folder, "nullspace"));
    writeFileSync(
      join(folder, "nullspace", "config.json"),
      JSON.stringify({ api_key: "from-file", base_url: server.url }),
    );
    expect(findApiKey(realPlaces())).toBe("from-file");
    await using client = new NullspaceClient();
    expect(await client.health()).toEqual({ status: "ok" });
    expect(server.seen[0]).toMatchObject({ url: "/healthz", headers: { authorization: "Bearer from-file" } });
  } finally {
    process.env = kept;
    await server.close();
    rmSync(folder, { recursive: true });
  }
});

test("the key is not shown when the client is printed, and stays at its origin", async () => {
  const elsewhere = await serve((response) => sendJson(response, 200, {}));
  const { client } = await serve((response) =>
    response.writeHead(307, { location: elsewhere.server.url }).end(),
  );
  expect(inspect(client, { depth: 12, showHidden: true })).not.toContain("ns_live_secret");
  expect(JSON.stringify(client)).not.toContain("ns_live_secret");
  const error = await failureOf(client.machines.get("mch_one"));
  expect(error).toMatchObject({ code: "redirect_refused" });
  expect(elsewhere.server.seen).toEqual([]);
});

test("a closed client says so", async () => {
  const { client } = clientTo("http://127.0.0.1:9");
  await client.close();
  expect(await failureOf(client.machines.get("mch_one"))).toMatchObject({ code: "client_closed" });
});
