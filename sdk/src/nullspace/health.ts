/** `GET /healthz`: whether the service lives. */
import { z } from "zod";
import { fetchAs } from "../answers";
import type { CallOptions } from "../call";
import type { Transport } from "../http";
import { withoutKey } from "./calls";

export interface Health {
  /** Such as `ok`. */
  status: string;
}

const healthAnswer = z.looseObject({ status: z.string() }).transform(({ status }): Health => ({ status }));

export const readHealth = async (transport: Transport, options?: CallOptions): Promise<Health> =>
  fetchAs(transport, healthAnswer, {
    what: "ask whether the service lives",
    method: "GET",
    path: "/healthz",
    options: withoutKey(options),
  });
