/** One timeline from all sources, and what is printed of it. */
import type { CommandView } from "../../../provider/src/controlplane/command-port";
import type { Delivery, Situation } from "../../../provider/src/stack/situation";
import { timelineOf } from "../../../provider/src/stack/timeline";
import { whyJson, whyText } from "../../../provider/src/stack/why-report";
import {
  at,
  done,
  entry,
  event,
  firstUp,
  machine,
  made,
  nowMs,
  situation,
  update,
  without,
} from "./situations";

const command: CommandView = {
  id: "exec-1",
  program: "node",
  outcome: "exit code 1",
  startedAt: at("09:30:00"),
  endedAt: at("09:31:00"),
};

const delivery = (given: Partial<Delivery> = {}): Delivery => ({
  id: "delivery-1",
  webhookId: "hook-1",
  eventId: "event-1",
  operation: "hibernate",
  deliveryStatus: "dead_letter",
  attemptCount: 8,
  createdAt: at("10:02:00"),
  lastAttemptAt: at("10:03:00"),
  lastResponseStatus: 500,
  lastError: "POST https://hooks.example.com/T0/secret-path?token=abc answered 500",
  webhook: { url: "https://hooks.example.com/T0/secret-path?token=abc" },
  ...given,
});

const full = (): Situation =>
  situation({
    sight: {
      kind: "there",
      machine: machine({ phase: "sleeping", desiredState: "sleeping", reason: "autosleep" }),
    },
    events: [...made, ...done("hibernate", "10:02:00", { actorKind: "system", reason: "autosleep" })],
    updates: [firstUp, update("09:59:00", "09:59:30", "pulumi refresh")],
    commands: [command, { id: "7", program: "sh", outcome: "running" }],
    deliveries: [delivery()],
  });

const day = { sinceMs: 86_400_000, secrets: [] };

test("joins all sources in the order of their times, and ends in the sentence", () => {
  expect(whyText(full(), day).split("\n")).toEqual([
    '2026-11-23 09:00:00  pulumi     "pulumi up" of the stack succeeded in 12 s: 1 create',
    "2026-11-23 09:00:05  lifecycle  create requested by user",
    "2026-11-23 09:00:05  lifecycle  create succeeded by user",
    "2026-11-23 09:00:10  state      the state has dm-1 since then",
    "2026-11-23 09:30:00  command    node started",
    "2026-11-23 09:31:00  command    node ended: exit code 1",
    '2026-11-23 09:59:00  pulumi     "pulumi refresh" of the stack succeeded in 30 s: 1 create',
    "2026-11-23 10:02:00  lifecycle  hibernate requested by system: autosleep",
    "2026-11-23 10:02:00  lifecycle  hibernate succeeded by system: autosleep",
    "2026-11-23 10:02:00  status     it is sleeping (autosleep) since then",
    "2026-11-23 10:03:00  webhook    hibernate told to hooks.example.com: dead_letter after 8 tries, answered 500, POST hooks.example.com answered 500",
    "without a time       command    sh: running",
    "2026-11-23 10:05:00  now        sleeping, desired sleeping, reason autosleep, revision 4",
    "",
    "web (dm-1) sleeps because its autosleep of 15m ended at 10:02:00 UTC (3 minutes ago) and nobody has used it since; a command in it wakes it.",
    "",
  ]);
});

test("what is older than asked for is counted, and still explains", () => {
  const text = whyText(full(), { ...day, sinceMs: 60_000 });
  expect(text).toMatch(
    /^11 earlier; --since 30d shows more\nwithout a time {7}command {4}sh: running\n2026-11-23 10:05:00 {2}now/,
  );
  expect(text).toContain("its autosleep of 15m ended at 10:02:00 UTC");
});

test("says what a backend without a history cannot tell, and what could not be read", () => {
  const given = without(
    situation({
      backend: "dedalus",
      entry: entry({ __backend: "dedalus" }),
      missing: ["the commands could not be read: 503"],
    }),
    "events",
  );
  const text = whyText(given, day);
  expect(text).toContain(
    'The backend "dedalus" tells no lifecycle events: who did what, and earlier phases, cannot be known.',
  );
  expect(text).toContain("Note: the commands could not be read: 503");
});

test("an update that runs, a failed state and a failed event are told with what they say", () => {
  const running = { command: "pulumi up", startedAt: at("10:04:00"), result: "in-progress", changes: {} };
  const given = situation({
    updates: [running],
    entry: entry({}, { initErrors: ['machine "web" failed'] }),
    events: [
      event("create", "failed", "10:04:01", { errorCode: "image_pull", errorMessage: "no such image" }),
    ],
  });
  const whats = timelineOf(given, 0).entries.map(({ what }) => what);
  expect(whats).toContain('"pulumi up" of the stack in-progress');
  expect(whats).toContain('the state has a failed operation: machine "web" failed');
  expect(whats).toContain("create failed by user: image_pull: no such image");
});

describe("hostile words", () => {
  const key = "live-key-0123456789";
  const evil = `\u001b[2J\u0007a\r\nfake line \u202e${key}\u009b31m`;
  const given = situation({
    name: `web${evil}`,
    sight: {
      kind: "there",
      machine: machine({ phase: "failed", reason: evil, lastError: evil, revision: evil }),
    },
    entry: entry({}, { initErrors: [evil], name: `web${evil}` }),
    events: [event("create", "failed", "09:00:05", { reason: evil, errorMessage: evil, errorCode: evil })],
    commands: [{ ...command, program: evil, outcome: evil }],
    deliveries: [delivery({ operation: evil, lastError: evil, webhook: { url: evil } })],
    updates: [{ ...firstUp, command: evil, result: evil, changes: { [evil]: 1 } }],
    missing: [evil],
  });

  test("stay within their line and move no cursor, and the key is not shown", () => {
    const lines = whyText(given, { ...day, secrets: [key] }).split("\n");
    const plain = whyText(situation({ ...given, missing: ["x"] }), { ...day, secrets: [key] }).split("\n");
    expect(lines).toHaveLength(plain.length);
    for (const line of lines) {
      expect(line).not.toMatch(/[\u0000-\u001f\u007f-\u009f\u202e]/);
      expect(line).not.toMatch(/^\s*fake line/);
      expect(line).not.toContain(key);
    }
  });

  test("are plain in the JSON, too", () => {
    const text = JSON.stringify(whyJson(given, { ...day, secrets: [key] }));
    expect(text).not.toContain(key);
    expect(text).not.toMatch(/\\u001b|\\u202e|\\r|\\n/);
  });
});

test("the JSON has the code of the case, the status and the timeline", () => {
  expect(whyJson(full(), day)).toMatchObject({
    name: "web",
    id: "dm-1",
    backend: "local",
    sight: "there",
    status: { phase: "sleeping", lastError: null, retryable: false },
    code: "asleep_autosleep",
    commandsWithoutTime: ["sh: running"],
    hasHistory: true,
    at: new Date(nowMs).toISOString(),
  });
});
