/**
 * The lifecycle stream: after `subscribed` only events and errors, since the vendor's client ends at any other frame. The
 * log tells each event once and in order; a slow reader is waited for, and reads what it missed from the log.
 */
import { subscribeFrame, type SubscribeFrame } from "@pulumi-machines/sdk/nullspace/frames";
import type { EventFilter, FollowEvents, LifecycleLog, TakenPart } from "../../../engine/control-plane";
import type { LifecycleEventRecord } from "../../../engine/record";
import type { Violation } from "../../../http-errors";
import { violation } from "../../../http-violations";
import { wireError } from "../errors";
import { engineMachineId, engineSnapshotId, machineId as shown } from "../ids";
import { lifecycleEvent } from "../render-event";
import type { Channel, Connection } from "./connection";
import { type Frame, parseFrame, unknownType } from "./parse-frame";

export class LifecycleChannel implements Channel {
  private stop: (() => void) | undefined;
  /** Counts subscriptions: what comes of an earlier one is not sent. */
  private current = 0;

  /** @param machineId the only machine of this socket; undefined on the account's */
  constructor(
    private readonly connection: Connection,
    private readonly log: LifecycleLog,
    private readonly machineId: string | undefined,
  ) {}

  async receive(frame: Frame): Promise<void> {
    if (frame["type"] !== "subscribe") throw unknownType(["subscribe"]);
    const asked = parseFrame(subscribeFrame, frame, (fields) => subscribeViolations(fields, this.machineId));
    this.closed();
    const mine = this.current;
    const options = followOptions(asked, this.machineId);
    const stop = await this.log.follow(options, (events) => this.tell(events, mine));
    if (mine !== this.current) {
      stop();
      return;
    }
    this.stop = stop;
    this.connection.out.send({
      type: "subscribed",
      subscription: echo(asked, this.machineId),
      // The only value that the vendor's contract has; `after_event_id` resumes nevertheless.
      reconnect_mode: "live_only",
      ...(typeof asked.after_event_id === "string" ? { replays_all: true } : {}),
    });
  }

  /** Ends the subscription. */
  closed(): void {
    this.current++;
    this.stop?.();
    this.stop = undefined;
  }

  /** Sends what there is room for. For a slow reader a little is kept; it is spared reading that again. */
  private tell(events: Events, mine: number): Promise<void> | TakenPart | undefined {
    const rest = this.sendSome(events, mine);
    if (rest.length === 0) return undefined;
    if (isSmall(rest)) return this.tellRest(rest, mine);
    return { taken: events.length - rest.length, room: this.connection.out.room() };
  }

  private async tellRest(rest: Events, mine: number): Promise<void> {
    for (let left = rest; left.length > 0; left = this.sendSome(left, mine)) {
      await this.connection.out.room();
    }
  }

  /** Returns those for which there is no room yet; none when nobody waits for them any more. */
  private sendSome(events: Events, mine: number): Events {
    const { out } = this.connection;
    return out.together(() => {
      for (const [at, event] of events.entries()) {
        if (!out.isOpen || mine !== this.current) break;
        if (out.isFull) return events.slice(at);
        out.sendText(eventFrame(event));
      }
      return [];
    });
  }
}

type Events = readonly LifecycleEventRecord[];

/** Bytes of frames that wait in memory for one slow reader. */
const maxKept = 65_536;

function isSmall(events: Events): boolean {
  let bytes = 0;
  return events.every((event) => (bytes += eventFrame(event).length) <= maxKept);
}

/** One event is told to many sockets: its JSON is made once. */
const frames = new WeakMap<LifecycleEventRecord, Buffer>();

function eventFrame(event: LifecycleEventRecord): Buffer {
  let frame = frames.get(event);
  if (!frame) {
    frame = Buffer.from(JSON.stringify({ type: "event", event: lifecycleEvent(event) }));
    frames.set(event, frame);
  }
  return frame;
}

/** What the schema cannot say. */
function subscribeViolations(frame: Frame, machineId: string | undefined): Violation[] {
  const { audience, machine_id: asked, live_only: liveOnly, after_event_id: after } = frame;
  const own = machineId === undefined ? undefined : shown(machineId);
  return [
    ...(audience === "internal"
      ? [violation("frame.audience", "internal events are not served here; leave it out or say customer")]
      : []),
    ...(own !== undefined && typeof asked === "string" && asked !== own
      ? [
          violation(
            "frame.machine_id",
            `this socket is of the machine ${own}; others are on /v1/lifecycle/ws`,
          ),
        ]
      : []),
    ...(liveOnly === true && typeof after === "string"
      ? [violation("frame.live_only", "live only, or after an event: give one of them")]
      : []),
  ];
}

const uuid = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/i;

/** @throws WireError 404: the log cannot have such an event */
function followOptions(asked: SubscribeFrame, machineId: string | undefined): FollowEvents {
  const { after_event_id: after, replay_limit: replayLimit, live_only: liveOnly } = asked;
  if (typeof after === "string" && !uuid.test(after)) {
    throw wireError(
      404,
      "not_found",
      `event ${JSON.stringify(after.slice(0, 80))} is not in the lifecycle log`,
    );
  }
  return {
    filter: filterOf(asked, machineId),
    ...(typeof after === "string" ? { after: after.toLowerCase() } : {}),
    ...(typeof replayLimit === "number" ? { replayLimit } : {}),
    ...(liveOnly === true ? { liveOnly } : {}),
  };
}

/** No id of the engine: events are about none that is called so. */
const nothing = "-";

function filterOf(asked: SubscribeFrame, own: string | undefined): EventFilter {
  const { machine_id: machine, snapshot_id: snapshot, operation, status, metadata } = asked;
  const machineId = own ?? (typeof machine === "string" ? (engineMachineId(machine) ?? nothing) : undefined);
  const snapshotId = typeof snapshot === "string" ? (engineSnapshotId(snapshot) ?? nothing) : undefined;
  return {
    ...(machineId === undefined ? {} : { machineId }),
    ...(snapshotId === undefined ? {} : { snapshotId }),
    ...(operation ? { operation } : {}),
    ...(status ? { status } : {}),
    ...(metadata ? { metadata } : {}),
  };
}

/** The filters as they hold, in wire names. */
function echo({ type: _type, ...filters }: SubscribeFrame, machineId: string | undefined): Frame {
  const given = Object.entries(filters).filter(([, value]) => value !== null && value !== undefined);
  return {
    ...Object.fromEntries(given),
    ...(machineId === undefined ? {} : { machine_id: shown(machineId) }),
  };
}
