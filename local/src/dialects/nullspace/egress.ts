/** What a machine may reach: everything, or nothing. Finer policies cannot be had here. */
import type { CreateMachineBody } from "@pulumi-machines/sdk/nullspace/wire";
import type { MachineTraits } from "../../engine/record";
import type { Violation } from "../../http-errors";
import { violation } from "../../http-violations";

type Network = NonNullable<CreateMachineBody["network"]>;
type Policy = NonNullable<Network["egress"]>;

/** The whole address space: denying it is denying everything. */
const everywhere = new Set(["0.0.0.0/0", "::/0"]);

const deniesAll = ({ deny_out: deny, allow_out: allow }: Network): boolean =>
  deny?.includes("0.0.0.0/0") === true &&
  deny.every((cidr) => everywhere.has(cidr)) &&
  (allow?.length ?? 0) === 0;

/** Contradictions between the three ways to say it. */
export function networkViolations(fields: Record<string, unknown>): Violation[] {
  const network = fields["network"];
  const egress = typeof network === "object" && network !== null && "egress" in network && network.egress;
  const mode = typeof egress === "object" && egress !== null && "mode" in egress ? egress.mode : undefined;
  return fields["internet_access"] === false && mode === "allow_all"
    ? [violation("body.network.egress.mode", "allow_all contradicts internet_access: false")]
    : [];
}

/** The members that ask for more than all or nothing, each with why not. */
export function egressViolations(network: Network | undefined): [name: string, why: string][] {
  if (network === undefined) return [];
  const lists = [network.allow_out, network.deny_out].some((list) => (list?.length ?? 0) > 0);
  return [
    ...policyViolations(network.egress).map(([name, why]): [string, string] => [`egress.${name}`, why]),
    ...(lists && !deniesAll(network)
      ? [["deny_out and allow_out", "lists of addresses are"] as [string, string]]
      : []),
  ];
}

export function policyViolations(policy: Policy | undefined): [name: string, why: string][] {
  if (policy === undefined) return [];
  const { mode, allow_cidrs: allow, deny_cidrs: deny, rate_limit: rate } = policy;
  return [
    ...(mode === "custom" ? [["mode", "custom policies are"] as [string, string]] : []),
    ...((allow?.length ?? 0) > 0 ? [["allow_cidrs", "lists of addresses are"] as [string, string]] : []),
    ...((deny?.length ?? 0) > 0 ? [["deny_cidrs", "lists of addresses are"] as [string, string]] : []),
    ...(rate === undefined ? [] : [["rate_limit", "limits of a network's rate are"] as [string, string]]),
  ];
}

/** `internet_access: true` is what every client sends; a policy that denies wins over it. */
export function egressOf({ internet_access: internet, network }: CreateMachineBody): MachineTraits["egress"] {
  const denied =
    internet === false ||
    network?.egress?.mode === "deny_all" ||
    (network !== undefined && deniesAll(network));
  return denied ? "deny_all" : "allow_all";
}
