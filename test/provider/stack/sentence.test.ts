/** Why a machine is as it is: every case, and its words. */
import type { MachineDetails } from "../../../provider/src/controlplane/port";
import { explain } from "../../../provider/src/stack/sentence";
import type { Situation } from "../../../provider/src/stack/situation";
import {
  at,
  done,
  entry,
  event,
  firstUp,
  id,
  machine,
  made,
  situation,
  update,
  urn,
  without,
} from "./situations";

const there = (given: Partial<MachineDetails>): Pick<Situation, "sight"> => ({
  sight: { kind: "there", machine: machine(given) },
});
const asleep = (reason: string): Pick<Situation, "sight"> =>
  there({ phase: "sleeping", desiredState: "sleeping", reason, lastTransitionAt: at("10:02:00") });
const system = { actorKind: "system" } as const;
const gone = { sight: { kind: "gone" } } as const;
const pending = { urn, name: "web", type: "creating", isMachine: true };
const second = update("10:01:50", "10:02:10");

const cases: [what: string, given: Situation, code: string, sentence: string | RegExp][] = [
  // ---------------------------------------------------------------- asleep
  [
    "asleep by its autosleep",
    situation({
      ...asleep("autosleep"),
      events: [...made, ...done("hibernate", "10:02:00", { ...system, reason: "autosleep" })],
    }),
    "asleep_autosleep",
    "web (dm-1) sleeps because its autosleep of 15m ended at 10:02:00 UTC (3 minutes ago) and nobody has used it since; a command in it wakes it.",
  ],
  [
    "asleep by its autosleep while an update of the stack ran",
    situation({
      ...asleep("autosleep"),
      events: [...made, ...done("hibernate", "10:02:00", { ...system, reason: "autosleep" })],
      updates: [firstUp, second],
    }),
    "asleep_autosleep",
    /^web \(dm-1\) sleeps because its autosleep of 15m ended/,
  ],
  [
    "asleep by its inactivity",
    situation({
      ...asleep("inactivity_timeout"),
      entry: entry({ lifetime: { inactivity: "30m" } }),
      events: [...made, ...done("hibernate", "10:02:00", { ...system, reason: "inactivity_timeout" })],
    }),
    "asleep_inactivity_timeout",
    "web (dm-1) sleeps because its inactivity limit of 30m (lifetime.inactivity) ended at 10:02:00 UTC (3 minutes ago) and nobody has used it since; a command in it wakes it.",
  ],
  [
    "asleep by its timeout, of which a service says no more than that it expired",
    situation({
      ...asleep(""),
      entry: entry({ lifetime: { timeout: "1h" }, autoResume: false }),
      events: [
        ...made,
        event("timeout_expired", "succeeded", "10:02:00", system),
        ...done("hibernate", "10:02:01", system),
      ],
    }),
    "asleep_timeout",
    "web (dm-1) sleeps because its timeout of 1h (lifetime.timeout) ended at 10:02:01 UTC (2 minutes ago); no use wakes it (autoResume), only a call to wake it.",
  ],
  [
    "asleep because the stack asks for it",
    situation({
      ...asleep("requested"),
      entry: entry({ desiredState: "sleeping" }),
      events: [...made, ...done("hibernate", "10:02:00", { reason: "requested" })],
      updates: [firstUp, second],
    }),
    "asleep_asked",
    `web (dm-1) sleeps because this stack asks for it (desiredState "sleeping"), since 10:02:00 UTC; for a running one, set desiredState to "running" and run "pulumi up".`,
  ],
  [
    "put to sleep by somebody else",
    situation({
      ...asleep("requested"),
      events: [...made, ...done("hibernate", "10:02:00", { reason: "requested" })],
    }),
    "asleep_by_somebody",
    "web (dm-1) sleeps because it was put to sleep at 10:02:00 UTC by somebody else than this stack, although the stack asks for a running one; a command in it wakes it.",
  ],
  [
    "put to sleep by a call, where the stack's history is not known",
    without(
      situation({ ...asleep("requested"), events: [...made, ...done("hibernate", "10:02:00")] }),
      "updates",
    ),
    "asleep_by_unknown",
    /put to sleep at 10:02:00 UTC by a call, and nothing tells whose, although/,
  ],
  [
    "put to sleep while an update ran that does not ask for it",
    situation({
      ...asleep("requested"),
      events: [...made, ...done("hibernate", "10:02:00")],
      updates: [firstUp, second],
    }),
    "asleep_by_stack",
    /put to sleep at 10:02:00 UTC by this stack's "pulumi up" of 10:01:50 UTC, although/,
  ],
  [
    "put to sleep by the service",
    situation({
      ...asleep("maintenance"),
      events: [...made, ...done("hibernate", "10:02:00", { ...system, reason: "maintenance" })],
    }),
    "asleep_service",
    /because the service put it to sleep at 10:02:00 UTC, for this reason: maintenance;/,
  ],
  [
    "asleep by its autosleep, without a history, by its own reason",
    without(
      situation({ backend: "dedalus", entry: entry({ __backend: "dedalus" }), ...asleep("autosleep") }),
      "events",
    ),
    "asleep_autosleep",
    /^web \(dm-1\) sleeps because its autosleep of 15m ended at 10:02:00 UTC \(3 minutes ago\) .*; a command in it wakes it\.$/,
  ],
  [
    "asleep without a history and without a reason",
    without(
      situation({ backend: "dedalus", entry: entry({ __backend: "dedalus" }), ...asleep("idle") }),
      "events",
    ),
    "asleep_untold",
    `web (dm-1) sleeps since 10:02:00 UTC: the backend "dedalus" keeps no history, so nothing tells its autosleep of 15m from a sleep that somebody asked for; a command in it wakes it.`,
  ],
  [
    "asleep without a history and without an autosleep",
    without(
      situation({
        backend: "dedalus",
        entry: entry({ __backend: "dedalus" }),
        ...there({ phase: "sleeping", desiredState: "sleeping", reason: "", autosleepSeconds: 0 }),
      }),
      "events",
    ),
    "asleep_untold",
    /keeps no history, and it has no autosleep, so somebody put it to sleep; a command/,
  ],
  [
    "asleep as the stack asks, without a history",
    without(
      situation({
        backend: "dedalus",
        entry: entry({ __backend: "dedalus", desiredState: "sleeping" }),
        ...asleep(""),
      }),
      "events",
    ),
    "asleep_asked",
    /^web \(dm-1\) sleeps since 10:02:00 UTC because this stack asks for it/,
  ],
  [
    "asleep, and the history forgot why",
    situation({ ...asleep("autosleep"), events: [] }),
    "asleep_untold",
    /its history has no word of it \(any more\)/,
  ],
  [
    "put to sleep by Nullspace without a word",
    situation({
      backend: "nullspace",
      entry: entry({ __backend: "nullspace" }),
      ...asleep(""),
      events: [...made, ...done("hibernate", "10:02:00", system)],
    }),
    "asleep_service",
    /without a reason: most likely its autosleep of 15m; a command in it wakes it\.$/,
  ],
  [
    "asleep, with an autoResume of its own since it was taken over",
    situation({ ...asleep("autosleep"), events: [], entry: entry({ adopt: "dm-1" }) }),
    "asleep_untold",
    /; a call to wake it does, and a command where its autoResume is set\.$/,
  ],
  [
    "a machine of no stack, asleep",
    without(situation({ ...asleep("autosleep"), events: [], updates: [], foundBy: "id" }), "entry"),
    "asleep_untold",
    /a call to wake it does, and a command where its autoResume is set\.$/,
  ],
  [
    "on its way to sleep",
    situation({
      ...there({ phase: "stopping", desiredState: "sleeping", reason: "autosleep" }),
      events: [...made, event("hibernate", "requested", "10:02:00", { ...system, reason: "autosleep" })],
    }),
    "going_to_sleep_autosleep",
    /^web \(dm-1\) is going to sleep because its autosleep of 15m ended .* since\.$/,
  ],
  // ---------------------------------------------------------------- failed
  [
    "failed for good",
    situation({
      ...there({ phase: "failed", reason: "image_pull", lastError: "no such image: base-9" }),
      events: [
        event("create", "requested", "10:01:59"),
        event("create", "failed", "10:02:00", { errorCode: "image_pull" }),
      ],
      entry: entry({ phase: "failed" }, { initErrors: ["machine failed"] }),
    }),
    "failed",
    `web (dm-1) failed 3 minutes ago while it was made: image_pull: no such image: base-9; the service says that trying again will not help: mend what it names first; then "pulumi up" repairs it, and "pulumi destroy" removes it.`,
  ],
  [
    "failed for now, in a wake",
    situation({
      ...there({
        phase: "failed",
        reason: "insufficient_capacity",
        lastError: "no host has room.",
        retryable: true,
      }),
      events: [
        ...made,
        event("resume_from_snapshot", "failed", "10:02:00", { errorCode: "insufficient_capacity" }),
      ],
    }),
    "failed_retryable",
    `web (dm-1) failed 3 minutes ago while it woke: insufficient_capacity: no host has room; the service calls this failure retryable; "pulumi up --refresh" tries again, "pulumi destroy" removes it.`,
  ],
  [
    "failed without a history or a word",
    without(situation({ backend: "dedalus", ...there({ phase: "failed", reason: "" }) }), "events", "entry"),
    "failed",
    "web (dm-1) failed 3 minutes ago: no reason given; the service says that trying again will not help: mend what it names first.",
  ],
  // ---------------------------------------------------------------- gone
  [
    "destroyed by its timeout",
    situation({
      ...gone,
      entry: entry({ lifetime: { timeout: "1h", then: "destroy" } }),
      events: [
        ...made,
        event("timeout_expired", "succeeded", "10:00:00", { ...system, reason: "timeout" }),
        ...done("destroy", "10:00:00", { ...system, reason: "timeout" }),
      ],
    }),
    "destroyed_timeout",
    `web (dm-1) was destroyed at 10:00:00 UTC (5 minutes ago) because its timeout of 1h (lifetime.timeout) was over; "pulumi refresh" takes it out of the state, then "pulumi up" makes a new one.`,
  ],
  [
    "destroyed after sleeping too long",
    situation({
      ...gone,
      entry: entry({ lifetime: { deleteAfterSleeping: "7d" } }),
      events: [...made, ...done("destroy", "10:00:00", { ...system, reason: "auto_delete" })],
    }),
    "destroyed_auto_delete",
    /because the time that it may sleep of 7d \(lifetime\.deleteAfterSleeping\) was over;/,
  ],
  [
    "destroyed by somebody else",
    situation({ ...gone, events: [...made, ...done("destroy", "09:35:00", { reason: "requested" })] }),
    "destroyed_by_somebody",
    `web (dm-1) was destroyed at 09:35:00 UTC (30 minutes ago) by somebody else than this stack; "pulumi refresh" takes it out of the state, then "pulumi up" makes a new one.`,
  ],
  [
    "destroyed by the stack itself",
    without(
      situation({
        ...gone,
        foundBy: "history",
        events: [...made, ...done("destroy", "10:00:05")],
        updates: [firstUp, update("10:00:00", "10:00:10", "pulumi destroy")],
      }),
      "entry",
    ),
    "destroyed_by_stack",
    `web (dm-1) was destroyed at 10:00:05 UTC (4 minutes ago) by this stack's "pulumi destroy" of 10:00:00 UTC.`,
  ],
  [
    "replaced, and still in the state",
    situation({
      ...gone,
      entry: entry({}, { isReplaced: true }),
      events: [...made, ...done("destroy", "10:00:05")],
      updates: [firstUp, update("10:00:00", "10:00:10")],
    }),
    "destroyed_by_stack",
    /by this stack's "pulumi up" of 10:00:00 UTC; the state only has it until the next "pulumi up", as the one that was replaced\.$/,
  ],
  [
    "destroyed by the service",
    situation({
      ...gone,
      events: [...made, ...done("destroy", "10:00:00", { actorKind: "reconcile", reason: "host lost" })],
    }),
    "destroyed_service",
    /by the service itself, for this reason: host lost;/,
  ],
  [
    "gone, without a history",
    without(situation({ backend: "dedalus", entry: entry({ __backend: "dedalus" }), ...gone }), "events"),
    "gone_untold",
    `web (dm-1) does not exist: the backend "dedalus" keeps no history, so nothing tells who destroyed it or when; the stack saw it last running, at 09:00:10 UTC (1 hour ago); "pulumi refresh" takes it out of the state, then "pulumi up" makes a new one.`,
  ],
  [
    "gone, and forgotten",
    situation({ ...gone, events: [] }),
    "gone_untold",
    /its history has no word of its end \(any more\)/,
  ],
  [
    "still shown as destroyed",
    situation({
      ...there({ phase: "destroyed", desiredState: "destroyed" }),
      events: [...made, ...done("destroy", "10:00:00")],
    }),
    "destroyed_by_somebody",
    /^web \(dm-1\) was destroyed at/,
  ],
  [
    "on its way out",
    situation({
      ...there({ phase: "destroying", desiredState: "destroyed" }),
      events: [...made, event("destroy", "requested", "10:04:58")],
    }),
    "destroying_by_somebody",
    "web (dm-1) is being destroyed, asked for at 10:04:58 UTC (2 seconds ago) by somebody else than this stack.",
  ],
  // ---------------------------------------------------------------- running
  [
    "running since the stack made it",
    situation({ ...there({ lastTransitionAt: at("09:00:06") }) }),
    "running_made",
    `web (dm-1) runs since 09:00:06 UTC: it was made at 09:00:05 UTC by this stack's "pulumi up" of 09:00:00 UTC.`,
  ],
  [
    "woken by its use",
    situation({
      events: [
        ...made,
        ...done("hibernate", "09:30:00"),
        ...done("resume_from_snapshot", "10:02:00", { ...system, reason: "woken by a command" }),
      ],
    }),
    "running_woken_by_use",
    "web (dm-1) runs since 10:02:00 UTC: its use woke it at 10:02:00 UTC (woken by a command).",
  ],
  [
    "woken by a call",
    situation({ events: [...made, ...done("resume_from_snapshot", "10:02:00", { reason: "requested" })] }),
    "running_woken",
    "web (dm-1) runs since 10:02:00 UTC: it was woken at 10:02:00 UTC by somebody else than this stack.",
  ],
  [
    "copied from another machine",
    situation({ events: done("fork", "09:00:05", { sourceMachineId: "dm-0", targetMachineId: id }) }),
    "running_forked",
    /it was made at 09:00:05 UTC as a copy of dm-0, by this stack's "pulumi up"/,
  ],
  [
    "the source of a copy is not the copy",
    situation({
      events: [
        ...made,
        ...done("fork", "10:00:00", { machineId: "dm-2", sourceMachineId: id, targetMachineId: "dm-2" }),
      ],
    }),
    "running_made",
    /it was made at 09:00:05 UTC/,
  ],
  [
    "started again by the service",
    situation({
      events: [
        ...made,
        ...done("reconcile", "10:02:00", { actorKind: "reconcile", reason: "the init process ended" }),
      ],
    }),
    "running_recovered",
    /its processes had ended, and the service started it again at 10:02:00 UTC \(the init process ended\)\.$/,
  ],
  [
    "resized by hand",
    situation({ ...there({ memoryMiB: 1024, vcpu: 2 }) }),
    "running_resized",
    /; it was resized outside of this stack, to 2 vCPUs and not 1, 1024 MiB of memory and not 512: "pulumi up --refresh" sets it back\.$/,
  ],
  [
    "given another autosleep by hand",
    situation({ ...there({ autosleepSeconds: 1800 }) }),
    "running_changed",
    /; it was changed outside of this stack, to autosleep 30m and not 15m:/,
  ],
  [
    "given another timeout by hand",
    situation({
      entry: entry({ lifetime: { timeout: "8h" } }),
      ...there({ lifetime: { timeout: "2h", then: "sleep" } }),
    }),
    "running_changed",
    /; it was changed outside of this stack, to lifetime\.timeout 2h and not 8h: "pulumi up --refresh" sets it back\.$/,
  ],
  [
    "running against the stack's wish",
    situation({
      entry: entry({ desiredState: "sleeping" }),
      events: [...made, ...done("resume_from_snapshot", "10:02:00")],
    }),
    "running_against_stack",
    /it was woken at 10:02:00 UTC by somebody else than this stack, although this stack asks for a sleeping one; "pulumi up --refresh" puts it to sleep\.$/,
  ],
  [
    "running, for a stack to which either is right",
    situation({ entry: entry({ desiredState: "any" }) }),
    "running_made",
    /^web \(dm-1\) runs since/,
  ],
  [
    "running after a deploy that failed",
    situation({ entry: entry({}, { initErrors: ['machine "web" is not running after 2 s.'] }) }),
    "running_after_failure",
    /, but the stack's last operation on it failed: machine "web" is not running after 2 s; the next "pulumi up" looks again\.$/,
  ],
  [
    "running without a history",
    without(situation({ backend: "dedalus", entry: entry({ __backend: "dedalus" }) }), "events"),
    "running_untold",
    `web (dm-1) runs since 10:02:00 UTC; the backend "dedalus" keeps no history, so nothing tells who started it.`,
  ],
  // ---------------------------------------------------------------- not yet running
  [
    "waiting for room",
    situation({
      ...there({ phase: "placement_pending", reason: "waiting for room", lastTransitionAt: at("10:04:50") }),
      events: [event("create", "requested", "10:04:49")],
      updates: [update("10:04:48", "10:05:00")],
    }),
    "waiting_placement_pending",
    `web (dm-1) is not running yet: it waits for room on a host (placement_pending: waiting for room), for 10 seconds now; it was made at 10:04:49 UTC by this stack's "pulumi up" of 10:04:48 UTC.`,
  ],
  [
    "waking",
    situation({
      ...there({ phase: "starting", reason: "placed" }),
      events: [
        ...made,
        event("resume_from_snapshot", "requested", "10:02:00", { ...system, reason: "woken by a command" }),
      ],
    }),
    "waiting_starting",
    /it waits for its start \(starting: placed\), for 3 minutes now; its use woke it at 10:02:00 UTC \(woken by a command\)\.$/,
  ],
  [
    "accepted, and wanted otherwise by now",
    without(
      situation({ ...there({ phase: "accepted", reason: "accepted", desiredState: "sleeping" }) }),
      "events",
    ),
    "waiting_accepted",
    /it waits for the service to begin with it, for 3 minutes now; it is wanted sleeping\.$/,
  ],
  [
    "in a phase of the future",
    situation({ ...there({ phase: "migrating", reason: "host maintenance" }) }),
    "unknown_phase",
    'web (dm-1) is in a phase that this version does not know, "migrating", and says why: host maintenance.',
  ],
  // ---------------------------------------------------------------- not in the state, not there, not asked
  [
    "made by a create that was interrupted",
    without(
      situation({ pending, foundBy: "tags", events: done("create", "10:02:00"), updates: [] }),
      "entry",
    ),
    "not_recorded",
    /^web \(dm-1\) runs since 10:02:00 UTC: it was made at 10:02:00 UTC by a call, and nothing tells whose\. The state of this stack does not have it yet: a "pulumi up" was interrupted in its create, or still runs \(its tags say that it is this stack's\); the next "pulumi up" .* "pulumi-machines doctor --fix" can delete it\.$/,
  ],
  [
    "remembered by the journal alone",
    without(situation({ foundBy: "journal" }), "entry"),
    "not_recorded",
    /The state of this stack does not have it, although this computer's create journal has it; /,
  ],
  [
    "never made: the create was interrupted before",
    without(situation({ pending, sight: { kind: "none" }, events: [] }), "entry", "id"),
    "never_made",
    `web was never made: the state has a pending "creating" of it, so a "pulumi up" was interrupted there or still runs, and no machine of it is known; the next "pulumi up" makes it.`,
  ],
  [
    "never made, as far as a backend without tags tells",
    without(situation({ backend: "dedalus", pending, sight: { kind: "none" } }), "entry", "id", "events"),
    "never_made",
    /no machine of it is known \(the backend "dedalus" keeps no history and no tags: if a machine was made all the same, the next "pulumi up" finds it by its key\)/,
  ],
  [
    "nothing at all",
    without(
      situation({ sight: { kind: "none" }, events: [], missing: ["x could not be read"] }),
      "entry",
      "id",
    ),
    "never_made",
    /^web was never made, or is forgotten: .* as far as could be seen: x could not be read; "pulumi up" makes it\.$/,
  ],
  [
    "a service that does not answer",
    situation({ sight: { kind: "unasked", why: "GET /v1/machines: connection refused." } }),
    "unasked",
    "web (dm-1) cannot be looked at now: GET /v1/machines: connection refused; the stack saw it last running, at 09:00:10 UTC (1 hour ago).",
  ],
  [
    "a machine of another backend",
    situation({ entry: entry({ __backend: "dedalus" }), sight: { kind: "none" } }),
    "other_backend",
    'web (dm-1) is on the backend "dedalus", and this stack is set to "local", which knows nothing of it; set it back with: pulumi config set machines:backend dedalus.',
  ],
];

test.each(cases)("%s", (_what, given, code, sentence) => {
  const said = explain(given);
  expect(said.code).toBe(code);
  if (typeof sentence === "string") expect(said.sentence).toBe(sentence);
  else expect(said.sentence).toMatch(sentence);
  expect(said.sentence).toMatch(/\.$/);
  expect(said.sentence).not.toMatch(/undefined|NaN|\.\.|;;/);
});

test("a superseded or failed operation is no cause", () => {
  const events = [
    ...made,
    event("hibernate", "requested", "10:00:00"),
    event("hibernate", "failed", "10:00:01", { errorCode: "superseded" }),
    ...done("resume_from_snapshot", "10:00:01"),
  ];
  expect(explain(situation({ events })).code).toBe("running_woken");
});
