/** What a deploy asks of the clients that it works with. */

/**
 * How many connections a deploy holds to one service at once: for requests, and as many for status streams. More machines
 * than that wait for a free one; a machine whose stream waits is read with a request meanwhile (watch.ts), so that none is
 * forgotten behind others that do not get on.
 */
export const maxConnections = 128;

/** A pause that a person would notice is ours: it is said on the resource's row, and ends with the deadline. In milliseconds. */
const longestWaitMs = 1_000;

export const manners = { maxConnections, longestWaitMs } as const;
