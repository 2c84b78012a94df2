/** An answer from the download site takes a fraction of this; without a route nobody should wait longer. */
export const probeLimitMs = 3_000;
/** Some 200 MB over a slow line; past that the build is the better way. */
export const installLimitMs = 5 * 60_000;
/** Exit code of install-official.mjs when the site did not answer the probe. */
export const noRouteExitCode = 3;
