/** What to do about a failure, in one service's own terms: texts that begin a sentence at the end of a message. */
export interface Advice {
  /** When nothing is where the base URL points. */
  checkUrl: string;
  /** When the key is refused (401). */
  checkKey: string;
  /** When the key may not do this (403). */
  checkAccess: string;
}
