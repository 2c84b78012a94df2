/**
 * What the loader text in every state loads: the dynamic providers, thin shells over the core. `machine`, `identity`,
 * `snapshot`, `command`, `file` and `webhook` are names for ever. Heavy modules are loaded when an operation needs them, so that check and diff stay quick.
 */
import { randomUUID } from "node:crypto";
import { isUnknown } from "./hidden";
import type { InitFailure } from "./init-failure";
import type { Session } from "./session";
import { markBackend, requireBackend } from "./same-backend";
import { nameOf, urnOf } from "./urn";
import { readAllowedMs, shellOf, withoutStack, type Properties } from "./shell";

interface ConfigureRequest {
  config: { get(key: string): string | undefined };
}

/* eslint-disable @typescript-eslint/no-require-imports -- loaded when needed; import() has no CommonJS resolution */
const load = {
  adopt: () => require("./machine/adopt") as typeof import("./machine/adopt"),
  check: () => require("./machine/check") as typeof import("./machine/check"),
  diff: () => require("./machine/diff") as typeof import("./machine/diff"),
  leftovers: () => require("./snapshot/leftovers") as typeof import("./snapshot/leftovers"),
  snapshotKey: () => require("./snapshot/key") as typeof import("./snapshot/key"),
  webhookLeftovers: () => require("./webhook/leftovers") as typeof import("./webhook/leftovers"),
  webhookTrace: () => require("./webhook/trace") as typeof import("./webhook/trace"),
  interrupted: () => require("./machine/interrupted") as typeof import("./machine/interrupted"),
  lifecycle: () => require("./machine/lifecycle") as typeof import("./machine/lifecycle"),
  sighting: () => require("./machine/sighting") as typeof import("./machine/sighting"),
  session: () => require("./session") as typeof import("./session"),
  snapshot: () => require("./snapshot/lifecycle") as typeof import("./snapshot/lifecycle"),
  command: () => require("./command/lifecycle") as typeof import("./command/lifecycle"),
  file: () => require("./file/lifecycle") as typeof import("./file/lifecycle"),
  webhook: () => require("./webhook/lifecycle") as typeof import("./webhook/lifecycle"),
};
/* eslint-enable @typescript-eslint/no-require-imports */

let config: ConfigureRequest["config"] | undefined;
let shared: Session | undefined;
const session = (): Session => (shared ??= new (load.session().Session)((key) => config?.get(key)));

const identityDeleteAllowedMs = 300_000;

// Must not wait: Pulumi calls other methods before a configure that waits has ended.
const configure = (request: ConfigureRequest): void => {
  config = request.config;
};

export const snapshot = { configure, ...shellOf(() => load.snapshot().core, session) };
export const command = { configure, ...shellOf(() => load.command().core, session) };
export const file = { configure, ...shellOf(() => load.file().core, session) };
export const webhook = { configure, ...shellOf(() => load.webhook().core, session) };

export const machine = {
  configure,

  async check(olds: Properties, news: Properties) {
    const checked = load.check().checkMachine(olds, news, { backend: session().backend() });
    const { adopt } = checked.inputs;
    // The one question that a preview asks of the service, and only when the answer is new.
    if (
      typeof adopt === "string" &&
      adopt !== olds.adopt &&
      !isUnknown(adopt) &&
      checked.failures.length === 0
    ) {
      const reason = await session()
        .run(urnOf(news), readAllowedMs, (context) => load.adopt().adoptRefusal(context, adopt))
        // A service that does not answer now is the deploy's own affair.
        .catch(() => undefined);
      if (reason !== undefined) checked.failures.push({ property: "adopt", reason });
    }
    return checked;
  },

  async diff(id: string, olds: Properties, news: Properties) {
    await load.sighting().sighted(session(), id, olds);
    const { diffMachine, warningsOf } = load.diff();
    const found = diffMachine(id, olds, news, session().backend() ?? "local");
    const urn = urnOf(news);
    if (found.replaces.length > 0 && news.beforeReplace === "snapshot") session().seen.replacing.set(urn, id);
    for (const line of warningsOf(nameOf(urn), found, news)) await session().tell(urn, line);
    return { changes: found.changes, replaces: found.replaces };
  },

  async create(properties: Properties) {
    const { allowedMs, create } = load.lifecycle();
    try {
      const result = await session().run(urnOf(properties), allowedMs(properties, "create"), (context) =>
        markBackend(context, () => create(context, properties)),
      );
      await session().answered(result.outs);
      return result;
    } catch (error) {
      const { properties: state } = error as Partial<InitFailure>;
      if (state) await session().answered(state);
      throw error;
    }
  },

  async update(id: string, olds: Properties, news: Properties) {
    const { allowedMs, update } = load.lifecycle();
    return session().run(urnOf(news), allowedMs(news, "update"), (context) => {
      requireBackend(context, "machine", id, olds);
      return markBackend(context, async () => ({ outs: await update(context, id, olds, news) }));
    });
  },

  async read(id: string, state: Properties = {}) {
    const result = await withoutStack(
      session().runWhereGoneCounts(urnOf(state), readAllowedMs, async (context) => {
        requireBackend(context, "machine", id, state);
        const found = await load.lifecycle().read(context, id, state);
        return found && { ...found, props: { ...found.props, __backend: context.controlPlane.backend } };
      }),
    );
    if (result) return { id, ...result };
    // Only a `Machine.get` comes without a recorded state; a refresh drops what is gone.
    if (state.__stackIdentity !== undefined || state.schemaVersion !== undefined) return {};
    return withoutStack(
      Promise.reject(new Error(`machine ${id} does not exist: Machine.get reads a machine that is there`)),
    );
  },

  async delete(id: string, state: Properties) {
    const { allowedMs, remove } = load.lifecycle();
    await withoutStack(
      session().runWhereGoneCounts(urnOf(state), allowedMs(state, "delete"), (context) => {
        requireBackend(context, "machine", id, state);
        return remove(context, id, state);
      }),
    );
  },
};

export const identity = {
  configure,
  async diff() {
    return { changes: false };
  },
  async create() {
    const text = randomUUID();
    return { id: text, outs: { identity: text } };
  },
  async update(_id: string, olds: Properties) {
    return { outs: { identity: olds.identity } };
  },
  // Machines depend on the identity, so that all that the state knew are gone by now.
  async delete(_id: string, { identity: stackIdentity }: Properties) {
    if (typeof stackIdentity !== "string") return;
    const { journal } = session();
    const owners = [load.snapshotKey(), load.webhookTrace()].map(({ journalOwner }) =>
      journalOwner(stackIdentity),
    );
    const left = await Promise.all([stackIdentity, ...owners].map((owner) => journal.interrupted(owner)));
    if (left.flat().length === 0) return;
    await withoutStack(
      session().run("", identityDeleteAllowedMs, async (context) => {
        await load.interrupted().removeInterrupted(context, stackIdentity);
        await load.leftovers().removeInterruptedSnapshots(context, stackIdentity);
        await load.webhookLeftovers().removeInterruptedWebhooks(context, stackIdentity);
      }),
    );
  },
};
