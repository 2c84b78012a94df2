/** A dynamic provider over the plain functions of a resource: what Pulumi calls, in terms of a context and nothing else. */
import { isHidden } from "./hidden";
import type { Checked, CheckWorld } from "./check-args";
import type { Context } from "./context";
import type { Session } from "./session";
import { markBackend, requireBackend } from "./same-backend";
import type { Operation } from "./timeouts";
import { urnOf } from "./urn";

export type Properties = Record<string, unknown>;

export interface ResourceDiff {
  changes: boolean;
  replaces?: string[];
  deleteBeforeReplace?: boolean;
}

/** What a resource is. `check` and `diff` are pure; the rest has no Pulumi types. */
export interface ResourceCore {
  /** "snapshot": for messages. */
  noun: string;
  check(olds: Properties, news: Properties, world: CheckWorld): Checked;
  /** @param olds The outputs in the state. @param news The checked inputs. */
  diff(olds: Properties, news: Properties): ResourceDiff;
  /** @throws InitFailure once it exists; a plain Error while nothing was made. */
  create(context: Context, news: Properties): Promise<{ id: string; outs: Properties }>;
  /** Undefined when it is gone. `inputs` only where an argument drifted. */
  read(
    context: Context,
    id: string,
    state: Properties,
  ): Promise<{ props: Properties; inputs?: Properties } | undefined>;
  /** Answers the full state. @throws InitFailure */
  update(context: Context, id: string, olds: Properties, news: Properties): Promise<Properties>;
  remove(context: Context, id: string, state: Properties): Promise<void>;
  /** How long an operation may take, in milliseconds. */
  allowedMs(properties: Properties, operation: Operation): number;
}

/** Pulumi prints the stack of what a read or a delete throws: the place in our code helps nobody, unless it is our fault. */
export async function withoutStack<T>(work: Promise<T>): Promise<T> {
  try {
    return await work;
  } catch (error) {
    const bug = error instanceof TypeError || error instanceof ReferenceError || error instanceof RangeError;
    if (error instanceof Error && !bug) error.stack = "";
    throw error;
  }
}

/** A refresh may take a minute to hear from the service; it is one call and waits for nothing. */
export const readAllowedMs = 90_000;

/**
 * @param load The resource, loaded when an operation needs it.
 * @param session What the operations of this process share.
 */
export function shellOf(load: () => ResourceCore, session: () => Session) {
  return {
    async check(olds: Properties, news: Properties) {
      return load().check(olds, news, { backend: session().backend() });
    },

    async diff(id: string, olds: Properties, news: Properties) {
      session().saw(id, olds);
      return load().diff(olds, news);
    },

    async create(news: Properties) {
      return session().run(urnOf(news), load().allowedMs(news, "create"), (context) =>
        markBackend(context, () => load().create(context, news)),
      );
    },

    async update(id: string, olds: Properties, news: Properties) {
      session().saw(id, olds);
      return session().run(urnOf(news), load().allowedMs(news, "update"), (context) => {
        requireBackend(context, load().noun, id, olds);
        return markBackend(context, async () => ({ outs: await load().update(context, id, olds, news) }));
      });
    },

    async read(id: string, state: Properties = {}) {
      session().saw(id, state);
      const result = await withoutStack(
        session().runWhereGoneCounts(urnOf(state), readAllowedMs, async (context) => {
          requireBackend(context, load().noun, id, state);
          const found = await load().read(context, id, state);
          return found && { ...found, props: { ...found.props, __backend: context.controlPlane.backend } };
        }),
      );
      if (result) return { id, ...result };
      // Only a `get` comes without a recorded state; a refresh drops what is gone.
      if (Object.keys(state).some((name) => !isHidden(name))) return {};
      const { noun } = load();
      return withoutStack(
        Promise.reject(new Error(`${noun} ${id} does not exist: a get reads a ${noun} that is there`)),
      );
    },

    async delete(id: string, state: Properties) {
      session().saw(id, state);
      await withoutStack(
        session().runWhereGoneCounts(urnOf(state), load().allowedMs(state, "delete"), (context) => {
          requireBackend(context, load().noun, id, state);
          return load().remove(context, id, state);
        }),
      );
    },
  };
}
