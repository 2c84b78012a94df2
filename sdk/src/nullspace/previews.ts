/** `client.previews`: addresses for a port of a machine, and whether something answers there. */
import { z } from "zod";
import { fetchAs, segment } from "../answers";
import type { Call, CallOptions } from "../call";
import { given, machinePath, wholeNumber, withoutKey } from "./calls";
import type { NullspaceContext } from "./context";
import {
  grantsAnswer,
  previewUrlAnswer,
  proxyTargetAnswer,
  readinessAnswer,
  revokedAnswer,
  type PreviewGrant,
  type PreviewReadiness,
  type PreviewUrl,
  type ProxyTarget,
} from "./preview-wire";

export interface SignedUrlParams {
  /** Whole seconds; the service has a default and a limit. */
  expiresInSeconds?: number | undefined;
}

export interface ProxyTargetParams extends SignedUrlParams {
  /** Default both. */
  transports?: ("http" | "websocket")[] | undefined;
  /** Default true. */
  includeTrafficTokenHint?: boolean | undefined;
}

export interface ReadinessParams {
  /** Default `tcp`. */
  kind?: "tcp" | "http" | undefined;
  /** Of the HTTP request; default `/`. */
  path?: string | undefined;
  /** How long the service waits, in milliseconds, rounded up to seconds; default 30000. */
  waitMs?: number | undefined;
  /** Between two looks, in milliseconds; default 500. */
  intervalMs?: number | undefined;
}

const defaultWaitMs = 30_000;

export class Previews {
  constructor(private readonly context: Pick<NullspaceContext, "transport">) {}

  /** An address with a token for a browser. It is a secret as long as it is valid. */
  async url(machineId: string, port: number, options?: CallOptions): Promise<PreviewUrl> {
    return this.ofPort(previewUrlAnswer, "ask for a preview of", "GET", machineId, port, "/preview-url", {
      options: withoutKey(options),
    });
  }

  /** The same with a life of your own. */
  async signedUrl(
    machineId: string,
    port: number,
    { expiresInSeconds }: SignedUrlParams = {},
    options?: CallOptions,
  ): Promise<PreviewUrl> {
    const path = "/signed-preview-url";
    return this.ofPort(previewUrlAnswer, "ask for a preview of", "POST", machineId, port, path, {
      body: given({ expires_in_seconds: expiresInSeconds }),
      options: withoutKey(options),
    });
  }

  /** Addresses and tokens for a proxy of your own. */
  async proxyTarget(
    machineId: string,
    port: number,
    { expiresInSeconds, transports, includeTrafficTokenHint }: ProxyTargetParams = {},
    options?: CallOptions,
  ): Promise<ProxyTarget> {
    const path = "/preview-proxy-target";
    return this.ofPort(proxyTargetAnswer, "ask for a proxy target of", "POST", machineId, port, path, {
      body: given({
        expires_in_seconds: expiresInSeconds,
        transports,
        include_traffic_token_hint: includeTrafficTokenHint,
      }),
      options: withoutKey(options),
    });
  }

  /** Waits until something answers on the port, or says that nothing did. */
  async readiness(
    machineId: string,
    port: number,
    { kind, path, waitMs, intervalMs }: ReadinessParams = {},
    options?: CallOptions,
  ): Promise<PreviewReadiness> {
    return this.ofPort(readinessAnswer, "wait for", "POST", machineId, port, "/readiness", {
      body: given({
        kind,
        path,
        timeout_secs: waitMs === undefined ? undefined : Math.ceil(waitMs / 1_000),
        interval_ms: intervalMs,
      }),
      attemptTimeoutMs: (waitMs ?? defaultWaitMs) + 15_000,
      options: withoutKey(options),
    });
  }

  /** Of all ports, or of one. */
  async list(
    machineId: string,
    { port }: { port?: number | undefined } = {},
    options?: CallOptions,
  ): Promise<PreviewGrant[]> {
    const { items } = await fetchAs(this.context.transport, grantsAnswer, {
      what: `list the previews of machine ${machineId}`,
      machineId,
      method: "GET",
      path: machinePath(machineId, "/preview-urls"),
      query: { port },
      options: withoutKey(options),
    });
    return items;
  }

  /** Ends an address before its time. @throws NotFoundError */
  async revoke(machineId: string, grantId: string, options?: CallOptions): Promise<PreviewGrant> {
    const { grant } = await fetchAs(this.context.transport, revokedAnswer, {
      what: `revoke preview ${grantId} of machine ${machineId}`,
      machineId,
      method: "DELETE",
      path: machinePath(machineId, `/preview-urls/${segment("grant id", grantId)}`),
      keyed: false,
      options: withoutKey(options),
    });
    return grant;
  }

  private async ofPort<T extends object>(
    schema: z.ZodType<T>,
    verb: string,
    method: Call["method"],
    machineId: string,
    port: number,
    below: string,
    rest: Partial<Call>,
  ): Promise<T> {
    const number = String(wholeNumber("the port", port, 1, 65_535));
    return fetchAs(this.context.transport, schema, {
      ...rest,
      keyed: false,
      what: `${verb} port ${number} of machine ${machineId}`,
      machineId,
      method,
      path: machinePath(machineId, `/ports/${number}${below}`),
    });
  }
}
