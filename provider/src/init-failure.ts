/**
 * A resource exists and is not what was asked for. The engine records it when it is thrown in this shape, and prints
 * `reasons`, one a line; it never prints `message`.
 */
export class InitFailure extends Error {
  override readonly name = "InitFailure";
  constructor(
    readonly id: string,
    readonly properties: Record<string, unknown>,
    readonly reasons: string[],
    options?: ErrorOptions,
  ) {
    super(reasons.join("\n"), options);
  }
}
