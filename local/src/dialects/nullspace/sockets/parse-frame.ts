/** A frame as its schema reads it, or words on what is wrong with it. */
import type { z } from "zod";
import type { Violation } from "../../../http-errors";
import { violation, violationsOf } from "../../../http-violations";
import { invalid } from "../errors";

/** What came over a socket, once it is known to be an object. */
export type Frame = Record<string, unknown>;

/** Counted against its sender: a client that goes on sending such frames is cut. */
export class BadFrame extends Error {
  override readonly name = "BadFrame";
  readonly code = "invalid_request";

  constructor(violations: readonly Violation[]) {
    super(invalid(violations).message.replace("the request", "the frame"));
  }
}

/** @throws BadFrame with everything that is wrong, each place once; `also` finds what a schema cannot */
export function parseFrame<S extends z.ZodType>(
  schema: S,
  frame: Frame,
  also: (frame: Frame) => readonly Violation[] = () => [],
): z.output<S> {
  const parsed = schema.safeParse(frame);
  const found = [...(parsed.success ? [] : violationsOf(parsed.error, frame, "frame")), ...also(frame)];
  if (parsed.success && found.length === 0) return parsed.data;
  throw new BadFrame([...new Map(found.map((one) => [one.location, one])).values()]);
}

export const unknownType = (known: readonly string[]): BadFrame =>
  new BadFrame([violation("frame.type", `must be one of ${known.join(", ")}`)]);
