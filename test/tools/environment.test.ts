import { callEach } from "./tool-call";

type Env = Record<string, string>;

const paths = { binDir: "/cli/bin", repoRoot: "/repo" };
const always: Env = { PATH: "/repo/node_modules/.bin:/cli/bin:/usr/bin", PULUMI_SKIP_UPDATE_CHECK: "1" };
const own: Env = {
  PULUMI_BACKEND_URL: "file:///repo/.state/pulumi",
  PULUMI_HOME: "/repo/.state/pulumi-home",
};
const passphrase: Env = { PULUMI_CONFIG_PASSPHRASE: "pulumi-machines-local" };

const cases: { name: string; env?: Env; usersBackend?: Env; expected: Env }[] = [
  { name: "no choice of the user's: the project's own backend", expected: { ...own, ...passphrase } },
  {
    name: "a passphrase of the user's is kept",
    env: { PULUMI_CONFIG_PASSPHRASE: "theirs" },
    expected: { ...own, PULUMI_CONFIG_PASSPHRASE: "theirs" },
  },
  {
    name: "an empty passphrase is one, too",
    env: { PULUMI_CONFIG_PASSPHRASE: "" },
    expected: { ...own, PULUMI_CONFIG_PASSPHRASE: "" },
  },
  {
    name: "a passphrase file is kept, and nothing put beside it",
    env: { PULUMI_CONFIG_PASSPHRASE_FILE: "/theirs" },
    expected: { ...own, PULUMI_CONFIG_PASSPHRASE_FILE: "/theirs" },
  },
  {
    name: "a home of the user's is kept",
    env: { PULUMI_HOME: "/theirs" },
    expected: { ...own, PULUMI_HOME: "/theirs", ...passphrase },
  },
  {
    name: "a backend in the environment is the user's, without being told",
    env: { PULUMI_BACKEND_URL: "s3://theirs" },
    expected: { PULUMI_BACKEND_URL: "s3://theirs" },
  },
  {
    name: "an access token means the user's backend",
    env: { PULUMI_ACCESS_TOKEN: "pul-1" },
    expected: { PULUMI_ACCESS_TOKEN: "pul-1" },
  },
  {
    name: "a login means the user's backend",
    usersBackend: { url: "https://api.pulumi.com", from: "/home/me/.pulumi/credentials.json" },
    expected: {},
  },
  {
    name: "the project's own backend chosen by name is still its own",
    env: { PULUMI_BACKEND_URL: "file:///repo/.state/pulumi" },
    usersBackend: { url: "file:///repo/.state/pulumi", from: "PULUMI_BACKEND_URL" },
    expected: { ...own, ...passphrase },
  },
  {
    name: "an update check that was asked for stays",
    env: { PULUMI_SKIP_UPDATE_CHECK: "0" },
    expected: { ...own, ...passphrase, PULUMI_SKIP_UPDATE_CHECK: "0" },
  },
];

test("builds the CLI's environment and never overrides what the user has chosen", async () => {
  const outcomes = await callEach(
    "pulumi/environment.mjs",
    "pulumiEnvironment",
    cases.map(({ env, usersBackend }) => [{ ...paths, env: { PATH: "/usr/bin", ...env }, usersBackend }]),
  );
  const seen = cases.map(({ name }, index) => ({ name, ...outcomes[index] }));
  expect(seen).toEqual(cases.map(({ name, expected }) => ({ name, value: { ...always, ...expected } })));
});

test("needs no PATH of the caller's", async () => {
  const [outcome] = await callEach("pulumi/environment.mjs", "pulumiEnvironment", [[{ ...paths, env: {} }]]);
  expect(outcome?.value).toMatchObject({ PATH: "/repo/node_modules/.bin:/cli/bin" });
});

test("writes a folder with special characters as the CLI reads it", async () => {
  const [outcome] = await callEach("pulumi/environment.mjs", "localState", [["/my repo/100%#1?"]]);
  expect(outcome?.value).toMatchObject({ url: "file:///my repo/100%25%231%3F/.state/pulumi" });
});
