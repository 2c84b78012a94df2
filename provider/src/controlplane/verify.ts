/** Tells a wrong address from one where a machine is missing: both answer 404. */
import { NotFoundError } from "@pulumi-machines/sdk";
import { RefusedError } from "./port";

/** @param list a call that every service of this API answers, whatever is there */
export async function verifyEndpoint(list: () => Promise<unknown>): Promise<void> {
  try {
    await list();
  } catch (error) {
    if (!(error instanceof NotFoundError)) return;
    throw new RefusedError(
      `${error.message}. There is no list of machines at this address, so that nothing there can be told from gone: check ` +
        `the path of machines:endpoint`,
      { code: "wrong_endpoint", retryable: false, cause: error },
    );
  }
}
