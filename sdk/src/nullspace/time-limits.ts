/** How long each kind of call may take, in milliseconds. Source: the vendor's own client. */
export const timeLimits = {
  /** Silence within one request. */
  requestMs: 30_000,
  /** Create answers only when the machine is usable. */
  createMs: 120_000,
  /** Hibernate, resume, fork, snapshot. */
  transitionMs: 300_000,
  /** Each request that carries a file. */
  transferMs: 300_000,
  /** The whole of a call with its repeats, where the caller sets no limit. */
  wholeCallMs: 600_000,
  /** The same for create, fork and snapshot, which are repeated up to 29 times. */
  wholeRecoveryMs: 3_600_000,
  /** More than the command's own limit, for a command that is awaited in one request. */
  beyondCommandMs: 15_000,
} as const;
