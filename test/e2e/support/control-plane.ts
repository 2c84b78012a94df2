/** The built control plane, as a user starts it, in a state folder of the test's own. */
import { DedalusClient, type Machine } from "@pulumi-machines/sdk";
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { eventually, start, type Running } from "./run";

const repository = join(__dirname, "..", "..", "..");

interface Ready {
  url: string;
  dedalus: string;
  apiKey: string;
}

export class LocalControlPlane {
  private process: Running | undefined;
  private ready: Ready | undefined;
  private port = "0";
  private opened: DedalusClient | undefined;

  constructor(
    private readonly stateDir: string,
    private readonly env: NodeJS.ProcessEnv,
    private readonly driver: "null" | "sandbox" = "null",
    private readonly options: readonly string[] = [],
  ) {
    mkdirSync(stateDir, { recursive: true });
  }

  /** Starts it, or starts it again: on the same port, with the same key and state. */
  async start(): Promise<void> {
    const cli = join(repository, "local", "bin", "machines-local.cjs");
    const args = [
      cli,
      "start",
      "--port",
      this.port,
      "--state",
      this.stateDir,
      "--driver",
      this.driver,
      "--json",
      ...this.options,
    ];
    const process_ = start(process.execPath, args, { cwd: this.stateDir, env: this.env });
    this.process = process_;
    let over = false;
    void process_.ended.then(() => (over = true));
    this.ready = await eventually("the control plane's ready line", () => {
      const line = process_
        .text()
        .split("\n")
        .find((text) => text.includes('"event":"ready"'));
      if (!line && over) throw new Error(`the control plane did not start:\n${process_.text()}`);
      return line ? (JSON.parse(line) as Ready) : undefined;
    });
    this.port = new URL(this.ready.url).port;
  }

  get pid(): number | undefined {
    return this.process?.child.pid;
  }

  get client(): DedalusClient {
    const { dedalus, apiKey } = this.must();
    return (this.opened ??= new DedalusClient({ baseUrl: dedalus, apiKey }));
  }

  async machines(): Promise<Machine[]> {
    const machines: Machine[] = [];
    for await (const machine of this.client.machines.list()) machines.push(machine);
    return machines;
  }

  /** Puts a fault script in force; see docs/faults.md. */
  async faults(...rules: object[]): Promise<void> {
    const { url, apiKey } = this.must();
    const answer = await fetch(`${url}/local/faults`, {
      method: "PUT",
      headers: { authorization: `Bearer ${apiKey}`, "content-type": "application/json" },
      body: JSON.stringify({ rules }),
    });
    if (!answer.ok) throw new Error(`the fault script was refused: ${await answer.text()}`);
  }

  async kill9(): Promise<void> {
    this.process?.child.kill("SIGKILL");
    await this.process?.ended;
  }

  async stop(): Promise<void> {
    await this.opened?.close();
    this.opened = undefined;
    this.process?.child.kill("SIGTERM");
    await this.process?.ended;
  }

  endpoint(): { dedalus: string; apiKey: string } {
    return this.must();
  }

  private must(): Ready {
    if (!this.ready) throw new Error("the control plane was not started");
    return this.ready;
  }
}
