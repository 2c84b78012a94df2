/**
 * Every legal move of a machine from one phase to the next, and what of the contract each follows. The phases are
 * those of LifecycleStatus.phase; moves that no document gives are marked "ours".
 */
import type { Phase } from "@pulumi-machines/sdk/dedalus/rules";

export interface Move {
  from: Phase;
  to: Phase;
  why: string;
}

export const moves: readonly Move[] = [
  { from: "accepted", to: "placement_pending", why: "POST machines, 202: accepted, then placed" },
  { from: "accepted", to: "destroying", why: "DELETE in any phase" },
  { from: "placement_pending", to: "starting", why: "placed: the host has room" },
  {
    from: "placement_pending",
    to: "failed",
    why: "no room within the placement time (reason insufficient_capacity)",
  },
  { from: "placement_pending", to: "destroying", why: "DELETE in any phase" },
  { from: "starting", to: "running", why: "create and wake converge to running" },
  { from: "starting", to: "failed", why: "the start failed: reason and last_error say why" },
  { from: "starting", to: "destroying", why: "DELETE in any phase" },
  { from: "running", to: "running", why: "PATCH of a running machine: same phase, new revision" },
  { from: "running", to: "stopping", why: "POST sleep, or autosleep" },
  {
    from: "running",
    to: "starting",
    why: "ours: processes that ended by themselves are started again from the disk",
  },
  { from: "running", to: "failed", why: "ours: processes that end again and again" },
  { from: "running", to: "destroying", why: "DELETE in any phase" },
  { from: "stopping", to: "sleeping", why: "sleep converges to sleeping" },
  { from: "stopping", to: "failed", why: "the stop failed" },
  { from: "stopping", to: "destroying", why: "DELETE in any phase" },
  { from: "sleeping", to: "sleeping", why: "PATCH of a sleeping machine: same phase, new revision" },
  { from: "sleeping", to: "placement_pending", why: "POST wake, or an execution" },
  { from: "sleeping", to: "destroying", why: "DELETE in any phase" },
  { from: "failed", to: "placement_pending", why: "ours: POST wake states the desire again" },
  { from: "failed", to: "stopping", why: "ours: POST sleep states the desire again" },
  { from: "failed", to: "failed", why: "PATCH of a failed machine: same phase, new revision" },
  { from: "failed", to: "destroying", why: "DELETE in any phase" },
  { from: "destroying", to: "destroyed", why: "delete converges to destroyed" },
  { from: "destroying", to: "failed", why: "the destroy failed: what is left is said in last_error" },
  // A change of size or desire while another move is under way.
  { from: "accepted", to: "accepted", why: "PATCH before the start: same phase, new revision" },
  {
    from: "placement_pending",
    to: "placement_pending",
    why: "PATCH before the start: same phase, new revision",
  },
  { from: "starting", to: "starting", why: "PATCH during the start: same phase, new revision" },
  { from: "stopping", to: "stopping", why: "POST wake or PATCH during the stop: same phase, new revision" },
];

const legal = new Set(moves.map((move) => `${move.from}>${move.to}`));

export const isLegalMove = (from: Phase, to: Phase): boolean => legal.has(`${from}>${to}`);
