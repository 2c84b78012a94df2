/** Answers of a service, as the three generations of the API write them. */

export interface View {
  phase: string;
  desired?: string;
  revision: string;
  reason?: string;
}

export const machineId = "dm-one";

/** The second generation, the default. */
export const wireMachine = ({ phase, desired = "running", revision, reason = "" }: View) => ({
  machine_id: machineId,
  vcpu: 1,
  memory_mib: 512,
  storage_gib: 4,
  autosleep_seconds: 300,
  desired_state: desired,
  status: {
    phase,
    reason,
    retryable: false,
    revision,
    last_transition_at: "2026-05-12T00:00:00Z",
    last_progress_at: "2026-05-12T00:00:00Z",
  },
});

/** The shortest status event that is one, for tests that cut it at every byte. */
export const wireEvent = ({ phase, desired = "running", revision }: View): string => {
  const status = { phase, revision };
  const machine = {
    machine_id: "dm-one",
    vcpu: 1,
    memory_mib: 1,
    storage_gib: 1,
    desired_state: desired,
    status,
  };
  return `event: status\nid: ${revision}\ndata: ${JSON.stringify(machine)}\n\n`;
};
