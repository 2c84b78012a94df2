/** The actors of all machines: one each, made when it is first asked for. */
import type { Host } from "./host";
import { MachineActor } from "./reconciler";

export class Actors {
  private readonly awake = new Map<string, MachineActor>();

  constructor(private readonly host: Host) {}

  /** Of a machine that exists. @throws Refusal machine_not_found */
  async get(id: string): Promise<MachineActor> {
    const awake = this.awake.get(id);
    if (awake) return awake;
    const actor = new MachineActor(id, this.host);
    await actor.load();
    return this.awake.get(id) ?? this.keep(actor);
  }

  /** Of a machine that is being made, or is known to exist. */
  add(id: string): MachineActor {
    return this.awake.get(id) ?? this.keep(new MachineActor(id, this.host));
  }

  forget(id: string): void {
    this.awake.delete(id);
  }

  async close(): Promise<void> {
    await Promise.all([...this.awake.values()].map((actor) => actor.close()));
  }

  private keep(actor: MachineActor): MachineActor {
    this.awake.set(actor.id, actor);
    return actor;
  }
}
