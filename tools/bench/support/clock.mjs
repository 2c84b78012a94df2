/** Milliseconds of a clock that all processes of this host share (CLOCK_MONOTONIC on Linux). */
export const monotonicMs = () => Number(process.hrtime.bigint()) / 1e6;
