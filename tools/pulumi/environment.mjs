import { delimiter, join } from "node:path";

/**
 * Protects nothing: the local backend is a folder that only its owner reads, and the engine insists on a passphrase for
 * it. A fixed one means that nobody has to invent and remember one to try the project.
 */
const localPassphrase = "pulumi-machines-local";

/** Everything that the CLI keeps for the local backend, inside the repository: remove `.state` to start afresh. */
export function localState(repoRoot) {
  const folder = join(repoRoot, ".state", "pulumi");
  // The CLI reads it as a URL, but takes a space as it is.
  const url = `file://${folder.replace(/[%#?]/g, encodeURIComponent)}`;
  return { folder, home: join(repoRoot, ".state", "pulumi-home"), url };
}

/**
 * The environment in which the CLI runs. `usersBackend` is what `findUsersBackend` found: with it, the backend, its
 * passphrase and the home folder stay as the user has them. Without it they are the project's own:
 *
 * - PULUMI_BACKEND_URL, so that no login is needed;
 * - PULUMI_HOME, because the CLI records the backend it worked with as the current login, and remembers the selected
 *   stacks: written to ~/.pulumi this would turn up in the user's other projects;
 * - PULUMI_CONFIG_PASSPHRASE, unless the user has set one.
 */
export function pulumiEnvironment({ binDir, repoRoot, env, usersBackend }) {
  const common = {
    ...env,
    // First the repository's own Node (24), which the language host takes from PATH: binDir may be /usr/bin.
    PATH: [join(repoRoot, "node_modules", ".bin"), binDir, ...(env.PATH ? [env.PATH] : [])].join(delimiter),
    PULUMI_SKIP_UPDATE_CHECK: env.PULUMI_SKIP_UPDATE_CHECK ?? "1",
  };
  const local = localState(repoRoot);
  if (!isLocal({ env, usersBackend }, local)) return common;
  return {
    ...common,
    PULUMI_BACKEND_URL: local.url,
    PULUMI_HOME: env.PULUMI_HOME || local.home,
    ...passphrase(env),
  };
}

/** Whether the project's own backend is used: the user has chosen none, or this very one. */
export const isLocal = ({ env, usersBackend }, local) =>
  usersBackend
    ? usersBackend.url === local.url
    : !env.PULUMI_ACCESS_TOKEN && (!env.PULUMI_BACKEND_URL || env.PULUMI_BACKEND_URL === local.url);

/** An empty passphrase is one, too. */
const passphrase = (env) =>
  env.PULUMI_CONFIG_PASSPHRASE !== undefined || env.PULUMI_CONFIG_PASSPHRASE_FILE !== undefined
    ? {}
    : { PULUMI_CONFIG_PASSPHRASE: localPassphrase };
