/** Rules between several arguments, and what a backend cannot do. Pure; values that are not known yet pass. */
import { capabilities, type Backend } from "../controlplane/capabilities";
import { reservedIn } from "../controlplane/tags";
import { notThere, type CheckFailure } from "../check-args";
import { isUnknown } from "../hidden";
import { changesBetween } from "./changes";

type Properties = Record<string, unknown>;

/** True when the program agreed to lose the disk. */
export const mayLoseDisk = (inputs: Properties): boolean =>
  inputs.replaceOnStorageShrink === true || inputs.__replaceOnStorageChange === true;

const given = (inputs: Properties, name: string): boolean => inputs[name] !== undefined;
const memberOf = (inputs: Properties, name: string, member: string): unknown => {
  const value = inputs[name];
  return typeof value === "object" && value !== null ? (value as Properties)[member] : undefined;
};

/** @param sizesGiven Sizes that the program itself asked for, not defaults. */
export function ruleFailures(
  olds: Properties,
  inputs: Properties,
  sizesGiven: readonly string[],
  backend: Backend | undefined,
): CheckFailure[] {
  return [
    ...contradictions(inputs),
    ...(backend ? missingOn(backend, inputs, sizesGiven) : []),
    ...(backend ? lostWithSnapshot(olds, inputs, backend) : []),
    ...refusedShrink(olds, inputs, backend),
  ];
}

// ---------------------------------------------------------------- contradictions

function contradictions(inputs: Properties): CheckFailure[] {
  const failures: CheckFailure[] = [];
  const say = (property: string, reason: string): void => void failures.push({ property, reason });
  const fromOthers = given(inputs, "adopt") ? "adopt" : given(inputs, "from") ? "from" : undefined;
  const decided: Record<string, readonly string[]> = {
    adopt: ["from", "template", "env", "cwd", "metadata", "ephemeral", "autoResume"],
    from: ["template", "env", "cwd"],
  };
  for (const name of fromOthers ? (decided[fromOthers] ?? []) : []) {
    if (!given(inputs, name)) continue;
    const source =
      fromOthers === "adopt" ? "the machine that is taken over" : "what the machine is made from";
    say(name, `comes with ${source} (${String(fromOthers)}); leave it out`);
  }
  if (given(inputs, "from") && given(inputs, "beforeReplace")) {
    say("beforeReplace", "contradicts from: a replacement starts from what `from` names");
  }
  const reserved =
    inputs.metadata && !isUnknown(inputs.metadata) ? reservedIn(inputs.metadata as Properties) : [];
  if (reserved.length > 0) {
    say("metadata", `${reserved.join(", ")}: names that begin with "pulumi:" are the stack's own`);
  }
  const then = memberOf(inputs, "lifetime", "then");
  if (inputs.ephemeral === true) {
    if (then === "sleep") say("lifetime", 'lifetime.then "sleep" contradicts ephemeral: it is destroyed');
    if (given(inputs, "autosleep") && inputs.autosleep !== "never")
      say("autosleep", "contradicts ephemeral: it never sleeps");
    if (inputs.autoResume === true) say("autoResume", "contradicts ephemeral: it never sleeps");
    if (inputs.desiredState === "sleeping") say("desiredState", "contradicts ephemeral: it never sleeps");
  } else if (inputs.autoResume === true && then === "destroy") {
    say("autoResume", 'needs lifetime.then "sleep", which is the default');
  }
  return failures;
}

// ---------------------------------------------------------------- what a backend cannot do

function missingOn(backend: Backend, inputs: Properties, sizesGiven: readonly string[]): CheckFailure[] {
  const can = capabilities[backend];
  const failures: CheckFailure[] = [];
  const refuse = (property: string, why: string): void =>
    void failures.push(notThere(property, backend, why));
  const needs = (property: string, able: boolean, why: string): void => {
    if (given(inputs, property) && !able) refuse(property, why);
  };
  needs("template", can.templates, "has no templates");
  needs("from", can.snapshots, "makes no machines from snapshots or other machines");
  needs("env", can.env, "has no variables of machines; set them on each Command");
  needs("cwd", can.cwd, "has no working folder of machines; set it on each Command");
  needs("metadata", can.metadata, "keeps no metadata");
  needs("lifetime", can.lifetime, "has no lifetimes; autosleep puts an idle machine to sleep");
  needs("ephemeral", can.ephemeral, "has no ephemeral machines");
  needs("autoResume", can.autoResume, "has no such choice: use always wakes a sleeping machine");
  needs("beforeReplace", can.snapshots, "has no snapshots");
  if (
    typeof inputs.vcpu === "number" &&
    !can.quarterVcpus &&
    !Number.isInteger(inputs.vcpu) &&
    !isUnknown(inputs.vcpu)
  )
    refuse("vcpu", "has whole vCPUs only");
  if (given(inputs, "from") && !can.resizeOnClone) {
    for (const size of sizesGiven)
      refuse(size, "takes the size from what the machine is made from; leave it out");
  }
  failures.push(...networkOn(backend, inputs));
  if (can.autosleepIsInactivity) failures.push(...oneClock(backend, inputs));
  if (backend === "nullspace" && memberOf(inputs, "from", "machine") !== undefined) {
    for (const name of ["metadata", "ephemeral", "autoResume", "network", "autosleep"]) {
      if (given(inputs, name)) refuse(name, "gives a copy of a machine what that machine has; leave it out");
    }
    for (const member of ["inactivity", "deleteAfterSleeping"]) {
      if (memberOf(inputs, "lifetime", member) !== undefined)
        refuse("lifetime", `gives a copy of a machine the ${member} of that machine; leave it out`);
    }
  }
  return failures;
}

function networkOn(backend: Backend, inputs: Properties): CheckFailure[] {
  const network = inputs.network;
  if (typeof network !== "object" || network === null) return [];
  const can = capabilities[backend];
  const { egress, allowPublicTraffic, maskRequestHost } = network as Properties;
  const refuse = (why: string): CheckFailure => notThere("network", backend, why);
  const failures: CheckFailure[] = [];
  if (egress !== undefined && can.egress === "none")
    failures.push(refuse("has no policies for outgoing traffic"));
  if (egress !== undefined && can.egress === "all_or_nothing" && !isUnknown(egress)) {
    const { mode, ...lists } = egress as Properties;
    if (mode === "custom" || Object.keys(lists).length > 0)
      failures.push(refuse('knows only network.egress { mode: "allow_all" } and { mode: "deny_all" }'));
  }
  if (!can.ingress && (allowPublicTraffic !== undefined || maskRequestHost !== undefined))
    failures.push(refuse("has no policies for incoming traffic (allowPublicTraffic, maskRequestHost)"));
  return failures;
}

/** Where the autosleep and the lifetime's inactivity are the same clock, and one action follows every limit. */
function oneClock(backend: Backend, inputs: Properties): CheckFailure[] {
  if (!given(inputs, "autosleep") || inputs.autosleep === "never") return [];
  const failures: CheckFailure[] = [];
  if (memberOf(inputs, "lifetime", "inactivity") !== undefined)
    failures.push(
      notThere("autosleep", backend, "has one clock for it and lifetime.inactivity; give one of them"),
    );
  if (memberOf(inputs, "lifetime", "then") === "destroy")
    failures.push(
      notThere(
        "autosleep",
        backend,
        'does the same at every limit: it cannot sleep with lifetime.then "destroy"',
      ),
    );
  return failures;
}

// ---------------------------------------------------------------- what a change would lose

/** With `beforeReplace` the new machine is what its snapshot is: these changes could not arrive in it. */
function lostWithSnapshot(olds: Properties, inputs: Properties, backend: Backend): CheckFailure[] {
  if (inputs.beforeReplace !== "snapshot" || Object.keys(olds).length === 0) return [];
  const { resizeOnClone } = capabilities[backend];
  const brought = ["template", "env", "cwd", ...(resizeOnClone ? [] : ["vcpu", "memoryMiB", "storageGiB"])];
  return changesBetween(olds, inputs, backend)
    .filter(({ name, unknown }) => !unknown && brought.includes(name))
    .map(({ name }) => ({
      property: name,
      reason:
        `cannot change together with beforeReplace: "snapshot": the new machine gets it from the snapshot of the old one. ` +
        `Remove beforeReplace (the disk is then lost), or keep the value`,
    }));
}

function refusedShrink(olds: Properties, inputs: Properties, backend: Backend | undefined): CheckFailure[] {
  const from = olds.storageGiB;
  const to = inputs.storageGiB;
  if (typeof from !== "number" || typeof to !== "number" || to >= from) return [];
  if (inputs.beforeReplace === "snapshot" && mayLoseDisk(inputs)) {
    return [
      {
        property: "storageGiB",
        reason: `cannot shrink together with beforeReplace: "snapshot": a snapshot of ${String(from)} GiB does not fit`,
      },
    ];
  }
  const replaced = backend !== undefined && !capabilities[backend].resize;
  if (mayLoseDisk(inputs) || isUnknown(inputs.replaceOnStorageShrink) || replaced) return [];
  return [
    {
      property: "storageGiB",
      reason:
        `a disk never shrinks (it has ${String(from)} GiB). To replace the machine and lose what is on its disk, set ` +
        `replaceOnStorageShrink: true, or the option replaceOnChanges: ["storageGiB"]`,
    },
  ];
}
