/**
 * `node install-official.mjs ROOT PROBE_URL`: the official installer of `@pulumi/pulumi/automation`, in a process of its
 * own, because it cannot be cancelled and the shell script that it starts can only be ended with its process group.
 * It installs the version of the SDK that it is part of.
 */
import { noRouteExitCode, probeLimitMs } from "./download-limits.mjs";

const [root, probeUrl] = process.argv.slice(2);

try {
  const response = await fetch(probeUrl, { method: "HEAD", signal: AbortSignal.timeout(probeLimitMs) });
  if (!response.ok) throw new Error(`it answered ${response.status}`);
} catch (error) {
  console.log(error.cause?.message || error.cause?.code || error.message);
  process.exit(noRouteExitCode);
}

try {
  const { PulumiCommand } = await import("@pulumi/pulumi/automation/index.js");
  await PulumiCommand.install({ root });
} catch (error) {
  // The last line that is printed is the one that is reported.
  console.log(error.message.trim().replace(/\s+/g, " "));
  process.exit(1);
}
