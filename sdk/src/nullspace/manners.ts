/** How Nullspace answers errors and wants to be asked again, and what its users can do about a failure. */
import type { Manners } from "../http";
import { errorClassOf, unknownCode } from "./error-classes";
import { readErrorEnvelope } from "./error-envelope";
import { limitRetry } from "./retry";

export const nullspaceManners: Manners = {
  readError: readErrorEnvelope,
  errorClass: errorClassOf,
  codeless: unknownCode,
  retry: limitRetry,
  advice: {
    checkUrl: "Check the base URL (NULLSPACE_API_URL) and that the service runs.",
    checkKey: "Check the API key (NULLSPACE_API_KEY).",
    checkAccess: "Check what the API key may do (NULLSPACE_API_KEY).",
  },
};
