/** What Pulumi asks of a file, without Pulumi's types. To write a file twice is to write it once: nothing is ever doubled. */
import type { Context } from "../context";
import { MachineGoneError, RefusedError } from "../controlplane/port";
import { messageOf } from "../failure-report";
import { spanOf } from "../history";
import { oneLine } from "../one-line";
import { patiently } from "../patience";
import type { Properties, ResourceCore } from "../shell";
import { allowedMsOf } from "../timeouts";
import { filesIn, placeOf, removeFiles, type Files } from "./archive";
import { fileArgs, timeouts, type FileInputs } from "./args";
import { checkFile } from "./check";
import { diffFile, mustWrite } from "./diff";
import { archiveHash } from "./hash";
import { stateOf } from "./state";
import { whileAwake, write } from "./write";

const inputsOf = (properties: Properties): FileInputs =>
  fileArgs.parse(Object.fromEntries(Object.entries(properties).filter(([name]) => name in fileArgs.shape)));

const filesOf = (state: Properties): Files =>
  typeof state.__files === "object" && state.__files !== null ? (state.__files as Files) : {};

/** @param olds What is there, of an update. */
async function put(context: Context, news: Properties, olds: Properties): Promise<Properties> {
  const inputs = inputsOf(news);
  try {
    return stateOf(
      news,
      await write(context, inputs, String(news.hash), {
        files: filesOf(olds),
        hasMode: olds.mode !== undefined,
      }),
    );
  } catch (error) {
    const why = context.signal.aborted
      ? `it took longer than ${spanOf(context.allowedMs)} (timeouts)`
      : error instanceof MachineGoneError
        ? `the machine does not exist any more: "pulumi refresh" takes this file out of the stack`
        : oneLine(messageOf(error));
    throw new Error(
      `file "${context.name}" could not be put at ${inputs.path} of machine ${inputs.machineId}: ${why}`,
      { cause: error },
    );
  }
}

async function update(
  context: Context,
  _id: string,
  olds: Properties,
  news: Properties,
): Promise<Properties> {
  if (mustWrite(olds, news)) return put(context, news, olds);
  return stateOf(news, { size: Number(olds.size), ...("__files" in olds ? { files: filesOf(olds) } : {}) });
}

/** A machine that sleeps is not woken to be looked at: its disk sleeps, too. */
async function read(
  context: Context,
  _id: string,
  state: Properties,
): Promise<{ props: Properties; inputs?: Properties } | undefined> {
  const { machineId, path } = state as { machineId?: string; path: string };
  if (machineId === undefined)
    throw new Error("an id says nothing of where a file is: File.get finds none, a Command with `cat` does");
  const { controlPlane, signal } = context;
  try {
    const { phase } = await patiently(context, () => controlPlane.getMachine(machineId, { signal }));
    if (phase === "destroyed") return undefined;
    if (phase !== "running") return { props: state };
    const hash = await patiently(context, () => hashNow(context, machineId, path, state));
    if (hash === undefined) {
      context.warn(`file "${context.name}": ${path} is not in machine ${machineId} any more`);
      return undefined;
    }
    if (hash === state.hash) return { props: state };
    context.warn(`file "${context.name}": ${path} in machine ${machineId} was changed outside of Pulumi`);
    return { props: { ...state, hash } };
  } catch (error) {
    if (error instanceof MachineGoneError) return undefined;
    if (!(error instanceof RefusedError) || !isAboutTheFile(error)) throw error;
    // Such as a folder in its place: no other resource's refresh has to fail for it.
    context.warn(`file "${context.name}": it cannot be compared: ${oneLine(error.message)}`);
    return { props: { ...state, hash: "" } };
  }
}

/** What the tools in a machine, or a service's file routes, say of a path. */
const isAboutTheFile = ({ code }: RefusedError): boolean => code === "file_failed" || code === "file_error";

async function hashNow(
  context: Context,
  machineId: string,
  path: string,
  state: Properties,
): Promise<string | undefined> {
  const { controlPlane, signal } = context;
  if (state.__files === undefined) return controlPlane.files.hash(machineId, path, { signal });
  const wanted = filesOf(state);
  const names = Object.keys(wanted);
  if (names.length === 0) return String(state.hash);
  const found = await filesIn(context, machineId, path, names);
  if (Object.keys(found).length === 0) return undefined;
  if (names.every((name) => found[name] === wanted[name])) return String(state.hash);
  return archiveHash(Object.entries(found).map(([name, hash]) => ({ name, hash, executable: false })));
}

/** Under another name, or as a replacement of itself, a file is written before the resource that was it is removed. */
async function create(context: Context, news: Properties): Promise<{ id: string; outs: Properties }> {
  const id = context.newKey();
  const outs = await put(context, news, {});
  for (const place of placesOf(outs)) context.seen.claims.set(place, id);
  return { id, outs };
}

/** Each file of it, as the claims of this process know it. */
function placesOf(state: Properties): string[] {
  const { machineId, path } = state as { machineId: string; path: string };
  const names = state.__files === undefined ? [""] : Object.keys(filesOf(state));
  return names.map((name) => placeOf(machineId, path, name));
}

async function remove(context: Context, id: string, state: Properties): Promise<void> {
  const { machineId, path } = state as { machineId: string; path: string };
  const isOurs = (name: string): boolean =>
    [undefined, id].includes(context.seen.claims.get(placeOf(machineId, path, name)));
  if (state.__files === undefined && !isOurs(""))
    return context.log(`kept: another resource of this program has put ${path} there anew`);
  const { controlPlane, signal } = context;
  try {
    await whileAwake(context, machineId, () =>
      state.__files === undefined
        ? controlPlane.files.remove(machineId, path, { signal })
        : removeFiles(context, machineId, path, Object.keys(filesOf(state)).filter(isOurs)),
    );
  } catch (error) {
    if (error instanceof MachineGoneError) {
      context.log(`nothing to remove: machine ${machineId} does not exist any more`);
      return;
    }
    if (await hasFailed(context, machineId)) {
      // It goes with what is on its disk, and must not be held up by it.
      context.warn(`file "${context.name}": ${path} stays in machine ${machineId}, which has failed`);
      return;
    }
    const why = oneLine(messageOf(error));
    const text = `file "${context.name}" was not removed from ${path} of machine ${machineId}: ${why}`;
    throw new Error(text, { cause: error });
  }
}

async function hasFailed({ controlPlane, signal }: Context, machineId: string): Promise<boolean> {
  try {
    return (await controlPlane.getMachine(machineId, { signal })).phase === "failed";
  } catch {
    // What was asked for is told, not this.
    return false;
  }
}

export const core: ResourceCore = {
  noun: "file",
  check: (_olds, news) => checkFile(news),
  diff: diffFile,
  create,
  read,
  update,
  remove,
  allowedMs: (properties, operation) => allowedMsOf(timeouts, properties, operation),
};
