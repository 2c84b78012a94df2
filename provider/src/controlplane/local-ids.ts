/** The two names of a machine of the embedded control plane: `dm-x` in the state, `mch_x` in the Nullspace dialect. Pure. */

/** As the state has it, from either. */
export const stateId = (id: string): string => id.replace(/^mch_/, "dm-");

/** As the Nullspace dialect has it, from either. */
export const nullspaceId = (id: string): string => id.replace(/^dm-/, "mch_");
