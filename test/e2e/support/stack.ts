/** A temporary Pulumi project with a file backend, driven through the real CLI. */
import { execFileSync } from "node:child_process";
import {
  copyFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { randomUUID } from "node:crypto";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { removeStateFolder } from "../../support/state-folder";
import { LocalControlPlane } from "./control-plane";
import { killMarked, markName } from "./processes";
import { start, type Outcome, type Running } from "./run";

export const repository = join(__dirname, "..", "..", "..");

/** Machines as the program reads them; see program.cjs. */
export type Machines = Record<
  string,
  { get?: string; args?: Record<string, unknown>; opts?: Record<string, unknown>; pool?: string }
>;

export interface RecordedResource {
  urn: string;
  type: string;
  id?: string;
  inputs?: Record<string, unknown>;
  outputs?: Record<string, unknown>;
  initErrors?: string[];
  external?: boolean;
}

let found: { binDir: string } | undefined;
/** The CLI that the repository's own tool finds, or builds at the first time. */
export function pulumiBinDir(): string {
  found ??= JSON.parse(
    execFileSync(process.execPath, [join(repository, "tools", "pulumi", "run.mjs"), "--where"], {
      encoding: "utf8",
    }),
  ) as { binDir: string };
  return found.binDir;
}

export class Stack {
  readonly folder = mkdtempSync(join(tmpdir(), "machines-e2e-"));
  readonly mark = randomUUID();
  readonly project = join(this.folder, "project");
  readonly env: NodeJS.ProcessEnv;
  readonly plane: LocalControlPlane;

  constructor(
    private readonly driver: "null" | "sandbox" = "null",
    linkModules: (project: string) => void = (project) =>
      symlinkSync(join(repository, "node_modules"), join(project, "node_modules")),
    planeOptions: readonly string[] = [],
  ) {
    for (const name of ["project", "backend", "home", "state", "tmp"]) mkdirSync(join(this.folder, name));
    const bin = join(repository, "node_modules", ".bin");
    this.env = {
      PATH: [bin, pulumiBinDir(), process.env.PATH].join(":"),
      HOME: join(this.folder, "home"),
      PULUMI_HOME: join(this.folder, "home", ".pulumi"),
      PULUMI_BACKEND_URL: `file://${join(this.folder, "backend")}`,
      PULUMI_CONFIG_PASSPHRASE: "test",
      PULUMI_SKIP_UPDATE_CHECK: "1",
      // Each run of the CLI starts two Node processes, which load the same modules.
      NODE_COMPILE_CACHE: join(repository, "node_modules", ".cache", "machines-e2e"),
      XDG_STATE_HOME: join(this.folder, "state"),
      // The language host leaves its pipes behind.
      TMPDIR: join(this.folder, "tmp"),
      MACHINES_LOCAL_STATE: join(this.folder, "state", "local"),
      [markName]: this.mark,
    };
    this.plane = new LocalControlPlane(join(this.folder, "state", "local"), this.env, driver, planeOptions);
    const runtime = "runtime:\n  name: nodejs\n  options:\n    typescript: false\n";
    writeFileSync(join(this.project, "Pulumi.yaml"), `name: shop\n${runtime}main: program.cjs\n`);
    writeFileSync(join(this.project, "package.json"), '{ "private": true }');
    copyFileSync(join(__dirname, "program.cjs"), join(this.project, "program.cjs"));
    linkModules(this.project);
  }

  write(machines: Machines): void {
    writeFileSync(join(this.project, "machines.json"), JSON.stringify(machines));
  }

  begin(...args: string[]): Running {
    return start("pulumi", [...args, "--non-interactive", "--stack", "dev"], {
      cwd: this.project,
      env: this.env,
    });
  }

  async pulumi(...args: string[]): Promise<Outcome> {
    return this.begin(...args).ended;
  }

  /** `pulumi up` that has to succeed, of these machines. */
  async up(machines: Machines, ...args: string[]): Promise<string> {
    this.write(machines);
    return this.must("up", "--yes", "--skip-preview", ...args);
  }

  async must(...args: string[]): Promise<string> {
    const { code, text } = await this.pulumi(...args);
    if (code !== 0) throw new Error(`pulumi ${args.join(" ")} ended with ${String(code)}:\n${text}`);
    return text;
  }

  async init(): Promise<void> {
    await this.plane.start();
    await this.must("stack", "init");
  }

  /** The state as it stands on disk. */
  resources(): RecordedResource[] {
    const file = join(this.folder, "backend", ".pulumi", "stacks", "shop", "dev.json");
    if (!existsSync(file)) return [];
    const { checkpoint } = JSON.parse(readFileSync(file, "utf8")) as {
      checkpoint: { latest?: { resources?: RecordedResource[] } };
    };
    return checkpoint.latest?.resources ?? [];
  }

  machine(name: string): RecordedResource | undefined {
    return this.resources().find(
      ({ type, urn }) => type.endsWith("machines:Machine") && urn.endsWith(`::${name}`),
    );
  }

  /** What `pulumi cancel` does after a killed run. */
  unlock(): void {
    rmSync(join(this.folder, "backend", ".pulumi", "locks"), { recursive: true, force: true });
  }

  urn(name: string): string {
    return `urn:pulumi:dev::shop::pulumi-nodejs:dynamic/machines:Machine::${name}`;
  }

  async dispose(): Promise<void> {
    await this.plane.stop();
    killMarked(this.mark);
    await removeStateFolder(join(this.folder, "state", "local"), this.driver);
    rmSync(this.folder, { recursive: true, force: true });
  }
}
