/** One translation of the clients' errors: which error of the port each becomes, and what it keeps. */
import {
  AnswerError,
  CommandError,
  ConflictError,
  ConnectionError,
  DeadlineError,
  NotFoundError,
} from "@pulumi-machines/sdk";
import { translateError, type CallFacts } from "../../../provider/src/controlplane/translate";

const machine: CallFacts = { machineId: "dm-1" };
const notFound = (code: string): NotFoundError => new NotFoundError({ message: "none", code, status: 404 });
const conflict = (code: string, more: object = {}): ConflictError =>
  new ConflictError({ message: "no", code, status: 409, ...more });

test.each([
  [
    "a machine by its code",
    notFound("machine_not_found"),
    machine,
    "MachineGoneError",
    { machineId: "dm-1" },
  ],
  ["a machine by the status", notFound("http_404"), machine, "MachineGoneError", { machineId: "dm-1" }],
  [
    "a snapshot by the call",
    notFound("not_found"),
    { snapshotId: "s" },
    "SnapshotGoneError",
    { snapshotId: "s" },
  ],
  [
    "a webhook by the call",
    notFound("not_found"),
    { webhookId: "w" },
    "WebhookGoneError",
    { webhookId: "w" },
  ],
  [
    "the source of a machine, not the machine",
    notFound("snapshot_not_found"),
    { machineId: "dm-1", snapshotId: "s" },
    "SnapshotGoneError",
    { snapshotId: "s" },
  ],
  ["another thing", notFound("template_not_found"), machine, "RefusedError", { code: "template_not_found" }],
  ["a path, where nothing was named", notFound("http_404"), {}, "RefusedError", { code: "http_404" }],
])("not found: %s", (_, error, facts, name, members) => {
  expect(translateError(error, facts)).toMatchObject({ name, cause: error, ...members });
});

test.each([
  ["IDEMPOTENCY_KEY_REUSED", {}, "KeyReusedError"],
  ["conflict", { keyed: true }, "KeyReusedError"],
  ["conflict", {}, "RefusedError"],
])("409 %s with %j is a %s", (code, facts, name) => {
  expect(translateError(conflict(code), facts)).toMatchObject({ name });
});

test("the users of a snapshot are named as the state names them", () => {
  const facts = { snapshotId: "s", fromWire: (id: string) => id.replace("mch_", "dm-") };
  const one = conflict("snapshot_in_use", { details: { machine_id: "mch_1" } });
  expect(translateError(one, facts)).toMatchObject({ name: "SnapshotInUseError", users: ["dm-1"] });
  const some = conflict("snapshot_in_use", { details: { machine_ids: '["mch_1","mch_2"]' } });
  expect(translateError(some, facts)).toMatchObject({ users: ["dm-1", "dm-2"] });
  const odd = conflict("snapshot_in_use", { details: { machine_ids: "[half" } });
  expect(translateError(odd, facts)).toMatchObject({ users: [], snapshotId: "s" });
});

test.each([
  ["machine_not_ready waits for another phase", conflict("machine_not_ready"), "INVALID_STATE", false],
  ["transition_conflict waits for another phase", conflict("transition_conflict"), "INVALID_STATE", false],
  [
    "transition_in_progress is asked again",
    conflict("transition_in_progress"),
    "transition_in_progress",
    true,
  ],
  [
    "a lost connection is asked again",
    new ConnectionError({ message: "lost", code: "connection_lost" }),
    "connection_lost",
    true,
  ],
  [
    "a closed client is not",
    new ConnectionError({ message: "closed", code: "client_closed" }),
    "client_closed",
    false,
  ],
  [
    "a certificate is not",
    new ConnectionError({ message: "tls", code: "tls_untrusted" }),
    "tls_untrusted",
    false,
  ],
  [
    "a deadline is",
    new DeadlineError({ message: "late", code: "deadline_exceeded" }),
    "deadline_exceeded",
    true,
  ],
  [
    "a command without an end is not",
    new CommandError({ message: "?", code: "exit_unknown" }),
    "exit_unknown",
    false,
  ],
])("%s", (_, error, code, retryable) => {
  expect(translateError(error, machine)).toMatchObject({ name: "RefusedError", code, retryable });
});

test("what the service said about a next try is kept", () => {
  const error = new AnswerError({
    ...{ message: "busy", code: "RATE_LIMITED", status: 429, retryable: true },
    ...{ retryAfterMs: 1500, requestId: "r-1" },
  });
  expect(translateError(error, {})).toMatchObject({ retryable: true, retryAfterMs: 1500, requestId: "r-1" });
});

test.each(["DEDALUS_API_KEY or DEDALUS_X_API_KEY", "NULLSPACE_API_KEY"])(
  "a refused key is said in the terms of a project, not with %s",
  (names) => {
    const message = `list: answered 401. Check the API key (${names}).`;
    const error = new AnswerError({ message, code: "AUTH_INVALID", status: 401 });
    const refusal = translateError(error, { hint: "Start it." }) as Error;
    expect(refusal.message).toBe(
      "list: answered 401. Check the key: pulumi config set --secret machines:apiKey KEY, or the variable MACHINES_API_KEY",
    );
  },
);

test("the hint is for an address at which nobody answers, and other errors pass", () => {
  const refused = new ConnectionError({ message: "nobody", code: "connection_refused" });
  expect((translateError(refused, { hint: "Start it." }) as Error).message).toBe("nobody. Start it.");
  const reason = new Error("the signal's own");
  expect(translateError(reason, machine)).toBe(reason);
});
