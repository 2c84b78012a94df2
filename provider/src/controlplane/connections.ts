/**
 * How many connections a deploy holds to one service at once: for requests, and as many for status streams. More machines
 * than that wait for a free one; a machine whose stream waits is read with a request meanwhile (watch.ts), so that none is
 * forgotten behind others that do not get on.
 */
export const maxConnections = 128;
