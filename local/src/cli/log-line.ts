/** A line of the log, for people. */
import { z } from "zod";

const levels: Readonly<Record<number, string>> = {
  10: "trace",
  20: "debug",
  30: "info",
  40: "warn",
  50: "error",
  60: "fatal",
};

const entry = z.looseObject({
  level: z.number(),
  time: z.string(),
  msg: z.string().default(""),
  reqId: z.string().optional(),
  method: z.string().optional(),
  url: z.string().optional(),
  status: z.number().optional(),
  ms: z.number().optional(),
  err: z.looseObject({ message: z.string(), stack: z.string().optional() }).optional(),
});

/** `TIME LEVEL what (more)`; a line that is no entry stays as it is. */
export function logLine(line: string): string {
  const parsed = entry.safeParse(parseJson(line));
  if (!parsed.success) return line;
  const { level, time, msg, reqId, method, url, status, ms, err, ...rest } = parsed.data;
  const what =
    method !== undefined && url !== undefined && status !== undefined
      ? `${method} ${url} ${String(status)} ${String(ms ?? 0)} ms`
      : msg;
  const more = Object.entries(rest).map(([name, value]) => `${name}=${JSON.stringify(value)}`);
  const words = [
    time,
    (levels[level] ?? String(level)).padEnd(5),
    what,
    ...more,
    ...(reqId ? [`[${reqId}]`] : []),
  ];
  return `${words.join(" ")}${err ? `\n${err.stack ?? err.message}` : ""}`;
}

function parseJson(line: string): unknown {
  try {
    return JSON.parse(line);
  } catch {
    // A line that was cut by a crash: shown as it is.
    return undefined;
  }
}
