/** What `report` ends with, so that a job can decide without reading. */
import type { Outcome } from "./report";

export const exitCodes: Record<Outcome, number> = {
  "no-changes": 0,
  error: 1,
  changes: 2,
  destructive: 3,
};
