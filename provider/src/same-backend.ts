/**
 * A stack that was deployed to one backend and is then set to another one: its resources are not gone, they are somewhere
 * else. The state says where each was made, so that nothing is taken for destroyed and left behind.
 */
import type { Context } from "./context";
import { InitFailure } from "./init-failure";

type Properties = Record<string, unknown>;

/** Notes in the state, also of a failure, on which backend the resource is. */
export async function markBackend<T extends { outs: Properties }>(
  context: Pick<Context, "controlPlane">,
  work: () => Promise<T>,
): Promise<T> {
  const mark = { __backend: context.controlPlane.backend };
  try {
    const result = await work();
    return { ...result, outs: { ...result.outs, ...mark } };
  } catch (error) {
    if (error instanceof InitFailure) Object.assign(error.properties, mark);
    throw error;
  }
}

/** @throws Error when the resource was made on another backend than the one that is set now. */
export function requireBackend(
  { name, controlPlane }: Pick<Context, "name" | "controlPlane">,
  noun: string,
  id: string,
  state: Properties,
): void {
  const { __backend: made } = state;
  if (typeof made !== "string" || made === controlPlane.backend) return;
  throw new Error(
    `${noun} "${name}" (${id}) is on the backend "${made}", and this stack is set to "${controlPlane.backend}": nothing was ` +
      `done. Set it back with "pulumi config set machines:backend ${made}", and deploy to "${controlPlane.backend}" from a ` +
      `stack of its own, or after "pulumi destroy". (Pulumi's refresh and destroy go by the settings of the last "pulumi up", ` +
      `unless they are given --run-program)`,
  );
}
