/** How DCS answers errors and wants to be asked again, and what its users can do about a failure. */
import { errorClassByStatus } from "../answer-failure";
import type { Manners } from "../http";
import { patientRetry } from "../retry-timing";
import { readErrorEnvelope } from "./error-envelope";

export const dedalusManners: Manners = {
  readError: readErrorEnvelope,
  errorClass: errorClassByStatus,
  retry: patientRetry,
  advice: {
    checkUrl: "Check the base URL (DEDALUS_BASE_URL) and that the service runs.",
    checkKey: "Check the API key (DEDALUS_API_KEY or DEDALUS_X_API_KEY).",
    checkAccess: "Check what the API key may do, and the organization (DEDALUS_ORG_ID).",
  },
};
