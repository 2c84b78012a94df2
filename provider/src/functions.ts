/**
 * What a program can ask of the service, about any machine that its key may see. The functions run in the program, in previews, too;
 * the Output forms wait for what is not known yet.
 */
import * as pulumi from "@pulumi/pulumi";
import type { z } from "zod";
import { ask, cannot } from "./functions/ask";
import { getMachineArgs, listLifecycleEventsArgs, listMachinesArgs } from "./functions/args";
import { infoOf, type LifecycleEventInfo, type MachineInfo } from "./functions/results";
import type { ArgsOf } from "./inputs";

export type GetMachineArgs = z.input<typeof getMachineArgs>;
export type ListMachinesArgs = z.input<typeof listMachinesArgs>;
export type ListLifecycleEventsArgs = z.input<typeof listLifecycleEventsArgs>;

/**
 * A machine as it is now, by its id.
 *
 * @example const { phase } = await getMachine({ id: "dm-0192" });
 *
 * @throws pulumi.RunError when there is no such machine, or the service cannot be asked
 */
export function getMachine(args: GetMachineArgs): Promise<MachineInfo> {
  return ask({ name: "getMachine", schema: getMachineArgs, args }, async (plane, { id }, signal) =>
    infoOf(await plane.describeMachine(id, { signal })),
  );
}

/** The Output form of `getMachine`. */
export const getMachineOutput = (args: pulumi.Input<ArgsOf<GetMachineArgs>>): pulumi.Output<MachineInfo> =>
  pulumi.output(args).apply((known) => getMachine(known as GetMachineArgs));

/**
 * The machines that pass all filters, whoever made them; without filters all that are not destroyed.
 *
 * @example const sleeping = await listMachines({ phases: ["sleeping"], tags: { "pulumi:stack": "dev" } });
 *
 * @throws pulumi.RunError for a filter that the backend has nothing for, or when the service cannot be asked
 */
export function listMachines(args: ListMachinesArgs = {}): Promise<MachineInfo[]> {
  const name = "listMachines";
  return ask(
    { name, schema: listMachinesArgs, args },
    async (plane, { limit = Infinity, ...given }, signal) => {
      const { capabilities } = plane;
      for (const filter of ["metadata", "tags"] as const)
        if (given[filter] && !capabilities.metadata)
          throw cannot(name, plane, `keeps no metadata with a machine; leave out "${filter}"`);
      if (given.template !== undefined && !capabilities.templates)
        throw cannot(name, plane, `has no templates; leave out "template"`);
      const found: MachineInfo[] = [];
      const filter = Object.fromEntries(Object.entries(given).filter(([, value]) => value !== undefined));
      for await (const machine of plane.listMachines(filter, { signal })) {
        found.push(infoOf(machine));
        if (found.length >= limit) break;
      }
      return found;
    },
  );
}

/** The Output form of `listMachines`. */
export const listMachinesOutput = (
  args: pulumi.Input<ArgsOf<ListMachinesArgs>> = {},
): pulumi.Output<MachineInfo[]> =>
  pulumi.output(args).apply((known) => listMachines(known as ListMachinesArgs));

/**
 * What happened to machines and snapshots, the newest first; 100 of them when nothing is said.
 *
 * @example const failures = await listLifecycleEvents({ machineId: "dm-0192", status: "failed" });
 *
 * @throws pulumi.RunError where the backend has no history, or when the service cannot be asked
 */
export function listLifecycleEvents(args: ListLifecycleEventsArgs = {}): Promise<LifecycleEventInfo[]> {
  const name = "listLifecycleEvents";
  return ask({ name, schema: listLifecycleEventsArgs, args }, async (plane, given, signal) => {
    if (!plane.events) throw cannot(name, plane, "has no history of lifecycle events");
    const found: LifecycleEventInfo[] = [];
    const filter = Object.fromEntries(Object.entries(given).filter(([, value]) => value !== undefined));
    for await (const event of plane.events.list(filter, { signal })) found.push(event);
    return found;
  });
}

/** The Output form of `listLifecycleEvents`. */
export const listLifecycleEventsOutput = (
  args: pulumi.Input<ArgsOf<ListLifecycleEventsArgs>> = {},
): pulumi.Output<LifecycleEventInfo[]> =>
  pulumi.output(args).apply((known) => listLifecycleEvents(known as ListLifecycleEventsArgs));
