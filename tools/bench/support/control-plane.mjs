/** A control plane with the null driver in a process of its own. */
import { startHelper } from "./helper.mjs";

/** Starts one; `started` is `{ dedalus, nullspace, apiKey, files, pid }`, where `files` is how many files it may open. */
export const startControlPlane = (options) => startHelper("control-plane-child.mjs", options);
