/** Sizes as a person reads them. Pure. */
import type { ResourceReport, Sizes } from "./report";
import type { Total, Totals } from "./totals";

type Unit = keyof Sizes;

const units: readonly Unit[] = ["vcpu", "memoryMiB", "storageGiB"];

/** "0.25 vCPU", "512 MiB", "2 GiB". Memory in GiB where that is a whole number of quarters. */
export function sizeText(unit: Unit, size: number): string {
  const rounded = Math.round(size * 100) / 100;
  if (unit === "vcpu") return `${String(rounded)} vCPU`;
  if (unit === "storageGiB") return `${String(rounded)} GiB`;
  return size >= 1024 && size % 256 === 0 ? `${String(size / 1024)} GiB` : `${String(rounded)} MiB`;
}

/** The sizes of a machine, with what they become where that differs. */
export function machineSizes({ before, after }: ResourceReport): string {
  return units
    .flatMap((unit) => {
      const [was, is] = [before?.[unit], after?.[unit]];
      if (was !== undefined && is !== undefined && was !== is) {
        return [`${sizeText(unit, was)} → **${sizeText(unit, is)}**`];
      }
      const size = is ?? was;
      return size === undefined ? [] : [sizeText(unit, size)];
    })
    .join(", ");
}

const labels: Record<Unit, string> = { vcpu: "vCPU", memoryMiB: "memory", storageGiB: "storage" };

/** The table of the totals, in Markdown. */
export function totalsTable(totals: Totals): string {
  const { machines, complete } = totals;
  const rows = units.map((unit) => totalRow(unit, totals[unit]));
  const count = `| machines | ${String(machines.before)} | ${String(machines.after)} | ${signed(machines.after - machines.before)} |`;
  const of = complete
    ? "the stack's machines"
    : "the machines above; `--show-sames` adds those that do not change";
  return [`Together, of ${of}:`, "", "| | before | after | |", "|---|--:|--:|--:|", count, ...rows].join(
    "\n",
  );
}

function totalRow(unit: Unit, { before, after, unknownBefore, unknownAfter }: Total): string {
  const number = (size: number): string => sizeText(unit, size).replace(" vCPU", "");
  const side = (size: number, unknown: number): string =>
    number(size) + (unknown > 0 ? ` and ${String(unknown)} not known` : "");
  const known = unknownBefore + unknownAfter === 0;
  const by = known ? signed(after - before, number) : "";
  return `| ${labels[unit]} | ${side(before, unknownBefore)} | ${side(after, unknownAfter)} | ${by} |`;
}

function signed(difference: number, print: (size: number) => string = String): string {
  if (difference === 0) return "";
  return `${difference > 0 ? "+" : "−"}${print(Math.abs(difference))}`;
}
