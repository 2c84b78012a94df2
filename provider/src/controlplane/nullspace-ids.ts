/** The names of a machine: as the port has them, and as the Nullspace API that is spoken to has them. Pure. */
export interface MachineIds {
  readonly toWire: (id: string) => string;
  readonly fromWire: (id: string) => string;
}

/** Of a Nullspace service: one name. */
export const sameIds: MachineIds = { toWire: (id) => id, fromWire: (id) => id };
