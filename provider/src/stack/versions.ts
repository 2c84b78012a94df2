/** Which versions work together. Pure. */
import type { Finding } from "./finding";

export interface Versions {
  /** Of the Node.js that Pulumi programs get; undefined where there is none on the PATH. */
  node: string | undefined;
  /** Of the Pulumi CLI, and of the one that wrote the state. */
  cli: string;
  writtenBy?: string;
  /** In the project; undefined where they are not installed. */
  sdk: string | undefined;
  provider: string | undefined;
  /** Of this command's own package. */
  own: string;
  /** Of the embedded control plane, where its endpoint file tells it. */
  plane?: string;
  /** The newest form of a state in this stack, and the newest that this version knows. */
  schema: { has: number; knows: number };
}

const oldest = { node: "22.13.0", sdk: "3.139.0" } as const;

/** Below 0, 0 or above, by the first three numbers. */
export function compareVersions(one: string, other: string): number {
  const numbers = (text: string): number[] =>
    (/^v?(\d+)\.(\d+)\.(\d+)/.exec(text) ?? []).slice(1).map(Number);
  const [a, b] = [numbers(one), numbers(other)];
  const at = a.findIndex((number, place) => number !== b[place]);
  return at < 0 ? 0 : (a[at] ?? 0) - (b[at] ?? 0);
}

export function versionFindings(versions: Versions): Finding[] {
  const { node, cli, writtenBy, sdk, provider, own, plane, schema } = versions;
  const findings: Finding[] = [];
  const say = (subject: string, what: string, next: string): void =>
    void findings.push({ kind: "version", severity: "fault", subject, what, next });
  if (node === undefined) {
    say(
      "node",
      "there is no node on the PATH, and Pulumi runs programs with it",
      "install Node.js from https://nodejs.org",
    );
  } else if (compareVersions(node, oldest.node) < 0) {
    say(
      "node",
      `Pulumi runs programs with Node.js ${node}, and pulumi-machines needs ${oldest.node} or newer`,
      "install a newer one, and put it first on the PATH",
    );
  }
  if (compareVersions(cli, oldest.sdk) < 0) {
    say(
      "pulumi",
      `the Pulumi CLI is ${cli}, and pulumi-machines needs ${oldest.sdk} or newer`,
      "install a newer one",
    );
  } else if (writtenBy !== undefined && compareVersions(cli, writtenBy) < 0) {
    say(
      "pulumi",
      `the state was written by Pulumi ${writtenBy}, and this CLI is ${cli}`,
      "use one version everywhere, the newer one",
    );
  }
  if (sdk === undefined)
    say("@pulumi/pulumi", "@pulumi/pulumi is not installed in the project", "run: npm install");
  else if (compareVersions(sdk, oldest.sdk) < 0 || !sdk.startsWith("3.")) {
    say(
      "@pulumi/pulumi",
      `the project has @pulumi/pulumi ${sdk}, and pulumi-machines needs ${oldest.sdk} or newer, below 4`,
      'run: npm install "@pulumi/pulumi@^3"',
    );
  }
  if (provider === undefined) {
    say(
      "pulumi-machines",
      "pulumi-machines is not installed in the project: its resources cannot be refreshed or deleted",
      "run: npm install pulumi-machines",
    );
  } else if (provider !== own) {
    say(
      "pulumi-machines",
      `the project has pulumi-machines ${provider}, and this command is of ${own}`,
      "run this command from the project's folder: npx pulumi-machines doctor",
    );
  }
  if (plane !== undefined && plane !== own) {
    say(
      "control plane",
      `the embedded control plane is of version ${plane}, and this command of ${own}`,
      "start it again with the installed version: machines-local stop, then machines-local start --detach",
    );
  }
  if (schema.has > schema.knows) {
    say(
      "state",
      `a machine in the state was written by a newer pulumi-machines (form ${String(schema.has)}; this one knows ${String(schema.knows)})`,
      "install the newest pulumi-machines",
    );
  }
  return findings;
}
