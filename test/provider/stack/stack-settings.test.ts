/** The settings of a stack's commands are those of its deploys, and secrets of others are not read. */
import { configOf, settingsOf } from "../../../provider/src/stack/stack-settings";

const printed = JSON.stringify({
  "machines:backend": { value: "nullspace", secret: false },
  "machines:endpoint": { value: "https://api.example.com" },
  "machines:apiKey": { secret: true },
  "shop:password": { secret: true },
});

function cliOf(text: string) {
  const asked: string[] = [];
  return {
    asked,
    config: () => Promise.resolve(text),
    secret: (key: string) => {
      asked.push(key);
      return Promise.resolve("the-key-0123");
    },
  };
}

test("the stack's own keys are read, and only their secrets", async () => {
  const cli = cliOf(printed);
  const config = await configOf(cli, {});
  expect(cli.asked).toEqual(["machines:apiKey"]);
  expect(config("shop:password")).toBeUndefined();
  expect(settingsOf(config, {})).toEqual({
    settings: { backend: "nullspace", endpoint: "https://api.example.com", apiKey: "the-key-0123" },
    keyOrigin: 'machines:apiKey of the stack ("pulumi config set --secret machines:apiKey KEY")',
    secrets: ["the-key-0123"],
  });
});

test("options come first, and a key of the environment is named by its variable", async () => {
  const config = await configOf(cliOf("{}"), { backend: "dedalus", endpoint: "http://127.0.0.1:1" });
  const env = { DEDALUS_API_KEY: "key-of-the-variable", OTHER: "key-of-the-variable" };
  expect(settingsOf(config, env)).toMatchObject({
    settings: { backend: "dedalus", endpoint: "http://127.0.0.1:1" },
    keyOrigin: "the variable DEDALUS_API_KEY",
  });
});

test("without a key it is the endpoint file's", async () => {
  expect(settingsOf(await configOf(cliOf(""), {}), {})).toMatchObject({
    settings: { backend: "local" },
    keyOrigin: "the endpoint file of the embedded control plane",
    secrets: [],
  });
});

test("a configuration that cannot be read is an error that shows nothing of it", async () => {
  await expect(configOf(cliOf('["secret-text"]'), {})).rejects.toThrow(
    /^"pulumi config --json" printed no configuration that this version can read$/,
  );
});
