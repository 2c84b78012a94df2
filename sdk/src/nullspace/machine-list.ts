/** Lists of machines: the filters, both shapes of answer, and field masks. */
import { z } from "zod";
import { fetchValue } from "../answers";
import type { CallOptions } from "../call";
import { UsageError } from "../errors";
import type { Transport } from "../http";
import { pagesOf, type Pages } from "../listing";
import type { Open } from "../open";
import { given, snakeCase, wholeNumber } from "./calls";
import type { MachineState } from "./rules";
import { machineAnswer, machineFieldsAnswer, type MachineFields, type NullspaceMachine } from "./wire";

/** What a field mask may name; others than these are passed on as they are. */
export type MachineField = Open<
  | "id"
  | "status"
  | "config"
  | "template"
  | "metadata"
  | "startedAt"
  | "timeoutMs"
  | "timeoutAt"
  | "timeoutAction"
  | "createdAt"
  | "cwd"
  | "snapshotId"
  | "trafficAccessToken"
>;

export interface ListMachinesParams {
  /** Default every state but `destroyed`. */
  state?: Open<MachineState> | readonly Open<MachineState>[] | undefined;
  template?: string | undefined;
  /** Machines whose metadata holds all these pairs. */
  metadata?: Record<string, unknown> | undefined;
  /** Machines in one page, 1 to 100; the service has a default. */
  limit?: number | undefined;
  /** Start after the page that answered this. */
  nextToken?: string | undefined;
}

/** One page. */
export interface MachinePage<T> {
  items: T[];
  hasNext: boolean;
  /** Leads to the next page; absent on the last. */
  nextToken?: string;
}

export type MachineListing<T> = Pages<T, MachinePage<T>>;

const pageAnswer = <T>(item: z.ZodType<T>) =>
  z.union([
    // Without any filter the service answers all machines at once.
    z.array(item).transform((items): MachinePage<T> => ({ items, hasNext: false })),
    z
      .looseObject({
        items: z.array(item),
        has_next: z.boolean().nullish(),
        next_token: z.string().nullish(),
      })
      .transform((page): MachinePage<T> => ({
        items: page.items,
        // Either of the two alone would end the vendor's own loop.
        ...(page.has_next && page.next_token
          ? { hasNext: true, nextToken: page.next_token }
          : { hasNext: false }),
      })),
  ]);

/** @throws UsageError `invalid_argument` */
export function listMachines(
  transport: Transport,
  params: ListMachinesParams,
  fields: readonly MachineField[] | undefined,
  options: CallOptions | undefined,
): MachineListing<NullspaceMachine> | MachineListing<MachineFields> {
  const query = listQuery(params, fields);
  const pages = <T>(item: z.ZodType<T>): MachineListing<T> =>
    pagesOf<T, MachinePage<T>, string>({
      first: params.nextToken,
      items: (page) => page.items,
      next: (page) => page.nextToken,
      fetch: async (token) => {
        const { value } = await fetchValue(transport, pageAnswer(item), {
          what: "list machines",
          method: "GET",
          path: "/v1/machines",
          query: { ...query, next_token: token },
          options,
        });
        return value;
      },
    });
  return fields === undefined ? pages(machineAnswer) : pages(machineFieldsAnswer);
}

function listQuery(
  { state, template, metadata, limit }: ListMachinesParams,
  fields: readonly MachineField[] | undefined,
): Record<string, string | number> {
  const states = typeof state === "string" ? [state] : state;
  if (states?.length === 0) {
    throw new UsageError({
      message: "list machines: the list of states is empty; leave it out to get every state",
      code: "invalid_argument",
    });
  }
  return given({
    state: states?.join(","),
    template,
    metadata: metadata === undefined ? undefined : JSON.stringify(metadata),
    limit: limit === undefined ? undefined : wholeNumber("list machines: limit", limit, 1, 100),
    fields: fields === undefined ? undefined : fieldMask(fields),
  }) as Record<string, string | number>;
}

/** @throws UsageError `invalid_argument` when there is none */
export function fieldMask(fields: readonly MachineField[]): string {
  const names = [...new Set(fields.map((field) => snakeCase(field.trim())))].filter((name) => name !== "");
  if (names.length > 0) return names.join(",");
  throw new UsageError({
    message: "the list of fields is empty; leave it out to get whole machines",
    code: "invalid_argument",
  });
}
