/** Which machine an `adopt` names. Pure. */

/** A machine has one id and, where a control plane speaks two dialects, a prefix for each. */
const bare = (id: string): string => id.replace(/^(dm-|mch_)/, "");

export const sameMachine = (one: string, other: string): boolean => bare(one) === bare(other);
