/** What each backend can do: one table, read by every `check`, so that a preview refuses what a deploy could not do. Pure. */

export const backends = ["local", "dedalus", "nullspace"] as const;
export type Backend = (typeof backends)[number];

export interface Capabilities {
  /** vCPUs in quarters; else whole ones. */
  quarterVcpus: boolean;
  /** vCPUs, memory and a larger disk are changed on the machine that is there; else it is replaced. */
  resize: boolean;
  /** Templates, variables, a working folder, and the user's metadata (which also carries the tags of the stack). */
  templates: boolean;
  env: boolean;
  cwd: boolean;
  metadata: boolean;
  /** Snapshots, and machines from a snapshot or from another machine. */
  snapshots: boolean;
  /** A snapshot can carry metadata. */
  snapshotMetadata: boolean;
  /** A machine that is made from a snapshot or a machine can be asked for in another size. */
  resizeOnClone: boolean;
  /** Timeout, inactivity, deletion after sleeping; ephemeral machines; waking by use. */
  lifetime: boolean;
  ephemeral: boolean;
  autoResume: boolean;
  /** Policies for outgoing traffic: none, all or nothing, or lists of networks too. */
  egress: "none" | "all_or_nothing" | "lists";
  /** Public access and host names of ports. */
  ingress: boolean;
  /** The autosleep and the lifetime's inactivity are one and the same clock there. */
  autosleepIsInactivity: boolean;
  webhooks: boolean;
  /** A history of lifecycle events. */
  events: boolean;
}

export const capabilities: Record<Backend, Capabilities> = {
  local: {
    quarterVcpus: true,
    resize: true,
    templates: true,
    env: true,
    cwd: true,
    metadata: true,
    snapshots: true,
    snapshotMetadata: true,
    resizeOnClone: true,
    lifetime: true,
    ephemeral: true,
    autoResume: true,
    egress: "all_or_nothing",
    ingress: false,
    autosleepIsInactivity: false,
    webhooks: true,
    events: true,
  },
  dedalus: {
    quarterVcpus: true,
    resize: true,
    templates: false,
    env: false,
    cwd: false,
    metadata: false,
    snapshots: false,
    snapshotMetadata: false,
    resizeOnClone: false,
    lifetime: false,
    ephemeral: false,
    autoResume: false,
    egress: "none",
    ingress: false,
    autosleepIsInactivity: false,
    webhooks: false,
    events: false,
  },
  nullspace: {
    quarterVcpus: false,
    resize: false,
    templates: true,
    env: true,
    cwd: true,
    metadata: true,
    snapshots: true,
    snapshotMetadata: false,
    resizeOnClone: false,
    lifetime: true,
    ephemeral: true,
    autoResume: true,
    egress: "lists",
    ingress: true,
    autosleepIsInactivity: true,
    webhooks: true,
    events: true,
  },
};
