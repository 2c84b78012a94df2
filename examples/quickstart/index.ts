// Three machines: one that always runs, one that sleeps when nobody uses it, one that is kept asleep until it is needed.
import { Machine } from "pulumi-machines";

const small = { vcpu: 0.25, memoryMiB: 256, storageGiB: 1 };

const always = new Machine("always", { ...small, autosleep: "never" });
const onDemand = new Machine("on-demand", { ...small, autosleep: "15m" });
const reserve = new Machine("reserve", { ...small, desiredState: "sleeping" });

const facts = ({ id, phase, vcpu, memoryMiB }: Machine) => ({ id, phase, vcpu, memoryMiB });

export const machines = {
  always: facts(always),
  onDemand: facts(onDemand),
  reserve: facts(reserve),
};
