/** The short and the long form of what an Environment is told, and what of it the golden snapshot is made from. */
import * as pulumi from "@pulumi/pulumi";
import type { CommandArgs } from "../command/resource";
import { resolveContent } from "../file/content";
import type { FileArgs } from "../file/resource";
import type { EnvironmentArgs, EnvironmentFile, SetupCommand } from "./args";

type CommandPart = Omit<CommandArgs, "machineId" | "update" | "delete">;
type FilePart = Omit<FileArgs, "machineId" | "path">;

const isLong = <T extends object>(value: unknown): value is T =>
  typeof value === "object" &&
  value !== null &&
  !Array.isArray(value) &&
  !(value instanceof Promise) &&
  !pulumi.Output.isInstance(value) &&
  !pulumi.asset.Asset.isInstance(value) &&
  !pulumi.asset.Archive.isInstance(value);

export const commandOf = (command: SetupCommand): CommandPart =>
  isLong<CommandPart>(command) ? command : { create: command };

export const fileOf = (file: EnvironmentFile): FilePart =>
  isLong<FilePart>(file) ? file : { content: file };

/** They say how an operation is done, or when a machine sleeps, and leave nothing on the disk. */
const without = {
  machine: ["autosleep", "failure", "lifetime", "replaceOnStorageShrink", "timeouts"],
  file: ["timeouts"],
  command: ["logging", "timeout", "timeouts"],
};

const pick = (part: object, left: readonly string[]): object =>
  Object.fromEntries(Object.entries(part).filter(([name]) => !left.includes(name)));

/**
 * Everything above the snapshot, in its long form. Only what the program gave, so that the default of a later version
 * rebuilds nothing; a file counts with its content, wherever it lies.
 */
export const meaningOf = ({
  machine = {},
  files = {},
  setup = [],
  triggers = [],
}: EnvironmentArgs): object => ({
  machine: pick(machine, without.machine),
  files: Object.fromEntries(Object.entries(files).map(([path, file]) => [path, meaningOfFile(fileOf(file))])),
  setup: setup.map((command) => pick(commandOf(command), without.command)),
  triggers,
});

const meaningOfFile = ({ content, ...rest }: FilePart): object => ({
  ...pick(rest, without.file),
  hash: pulumi.output(content).apply(async (known) => (await resolveContent(known)).hash),
});
