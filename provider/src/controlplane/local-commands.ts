/** Commands of the embedded control plane: run over one dialect, and listed over the other, which tells their times. */
import type {
  CommandOptions,
  CommandOutcome,
  CommandPort,
  CommandSpec,
  CommandView,
  FollowOptions,
} from "./command-port";
import type { DedalusCommands } from "./dedalus-commands";
import { stateId } from "./local-ids";
import type { CallOptions } from "./port";

export class LocalCommands implements CommandPort {
  constructor(
    private readonly runner: CommandPort,
    private readonly lister: Pick<DedalusCommands, "list">,
  ) {}

  run(machineId: string, spec: CommandSpec, options: CommandOptions): Promise<CommandOutcome> {
    return this.runner.run(machineId, spec, options);
  }

  get keepsKeys(): boolean {
    return this.runner.keepsKeys;
  }

  follow(machineId: string, commandId: string, options: FollowOptions): Promise<CommandOutcome> {
    return this.runner.follow(machineId, commandId, options);
  }

  end(machineId: string, commandId: string, options: CallOptions): Promise<void> {
    return this.runner.end(machineId, commandId, options);
  }

  list(machineId: string, options: CallOptions): AsyncIterable<CommandView> {
    return this.lister.list(stateId(machineId), options);
  }
}
