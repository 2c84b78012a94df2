/** The drivers that have disks, as every kind of user, and what tests of their snapshots ask of them. */
import { ControlPlaneProcess, isRoot, makeStateDir, nobody, removeStateDir } from "./control-plane-process";
import { cgroups, noTraces, tracesOf } from "./traces";

export interface Place {
  name: "sandbox" | "process";
  user: string;
  uid: number;
}

const root = { user: "root", uid: 0 };
export const ordinary = { user: "an ordinary user", uid: isRoot ? nobody : (process.getuid?.() ?? nobody) };

export const places: Place[] = (isRoot ? [root, ordinary] : [ordinary]).flatMap((user) => [
  { name: "sandbox" as const, ...user },
  { name: "process" as const, ...user },
]);

/** A control plane for the tests of a `describe`, after each of which nothing may be left. */
export class SnapshotPlane {
  private plane: ControlPlaneProcess | undefined;
  readonly stateDir: string;

  constructor(private readonly place: Place) {
    this.stateDir = makeStateDir(place.uid);
    const before = cgroups();
    beforeAll(() => this.open());
    afterEach(async () => {
      await this.call("sweep", []);
      expect(tracesOf(this.stateDir, before)).toEqual(noTraces);
    });
    afterAll(async () => {
      await this.plane?.end();
      removeStateDir(this.stateDir);
    });
  }

  get process(): ControlPlaneProcess {
    if (!this.plane) throw new Error("no control plane");
    return this.plane;
  }

  async open(): Promise<void> {
    const { name, uid } = this.place;
    this.plane = await ControlPlaneProcess.start({ name, stateDir: this.stateDir, uid });
  }

  call<T = unknown>(method: string, ...args: unknown[]): Promise<T> {
    return this.process.call<T>(method, ...args);
  }

  /** All that a command in the home of a machine writes. */
  async sh(id: string, script: string): Promise<string> {
    const { stdout, stderr, exitCode, bytes } = await this.process.sh(id, `cd ~ && ${script}`);
    expect({ exitCode, stderr }).toEqual({ exitCode: 0, stderr: "" });
    expect(bytes).toBeLessThanOrEqual(4096);
    return stdout;
  }

  /** Why a call fails, or "it succeeded". */
  reasonOf(call: Promise<unknown>): Promise<unknown> {
    return call.then(
      () => "it succeeded",
      (error: { reason?: string }) => error.reason,
    );
  }

  /** Where the machine's own home lies on the host. */
  homeOf(id: string): string {
    const { name } = this.place;
    return `${this.stateDir}/machines/${id}/${name === "sandbox" ? "upper/root" : "root"}`;
  }
}
