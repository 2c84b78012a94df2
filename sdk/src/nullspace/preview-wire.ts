/** Answers about previews of a machine's ports, with the renaming to our names. Pure. */
import { z } from "zod";
import type { Open } from "../open";

const text = z.string();
const optionalText = text.nullish().transform((value) => value ?? undefined);
const count = z.number().nullish();

/** A permission to reach one port; the counters tell how it was used. */
export interface PreviewGrant {
  id: string;
  machineId: string;
  port: number;
  status: Open<"active" | "disabled" | "expired" | "revoked">;
  authMode?: Open<"direct" | "proxy"> | undefined;
  /** ISO 8601, like every `...At`. */
  issuedAt?: string | undefined;
  expiresAt?: string | undefined;
  revokedAt?: string | undefined;
  firstUsedAt?: string | undefined;
  lastUsedAt?: string | undefined;
  disabledAt?: string | undefined;
  lastErrorAt?: string | undefined;
  lastErrorCode?: string | undefined;
  useCount: number;
  /** The answer as it came: more counters, who it was given to. */
  raw: Readonly<Record<string, unknown>>;
}

const grantAnswer = z
  .looseObject({
    id: text,
    machine_id: text,
    port: z.number(),
    status: text,
    auth_mode: optionalText,
    issued_at: optionalText,
    expires_at: optionalText,
    revoked_at: optionalText,
    first_used_at: optionalText,
    last_used_at: optionalText,
    disabled_at: optionalText,
    last_error_at: optionalText,
    last_error_code: optionalText,
    use_count: count,
  })
  .transform((wire): PreviewGrant => ({
    id: wire.id,
    machineId: wire.machine_id,
    port: wire.port,
    status: wire.status,
    authMode: wire.auth_mode,
    issuedAt: wire.issued_at,
    expiresAt: wire.expires_at,
    revokedAt: wire.revoked_at,
    firstUsedAt: wire.first_used_at,
    lastUsedAt: wire.last_used_at,
    disabledAt: wire.disabled_at,
    lastErrorAt: wire.last_error_at,
    lastErrorCode: wire.last_error_code,
    useCount: wire.use_count ?? 0,
    raw: wire,
  }));

export const grantsAnswer = z.looseObject({ items: z.array(grantAnswer) });
export const revokedAnswer = z.looseObject({ grant: grantAnswer });

export interface PreviewUrl {
  grant: PreviewGrant;
  /** With the token in it. */
  url: string;
  websocketUrl?: string | undefined;
  /** ISO 8601. */
  accessTokenExpiresAt?: string | undefined;
  accessTokenTransport?: string | undefined;
}

export const previewUrlAnswer = z
  .looseObject({
    grant: grantAnswer,
    url: text,
    websocket_url: optionalText,
    access_token_expires_at: optionalText,
    access_token_transport: optionalText,
  })
  .transform((wire): PreviewUrl => ({
    grant: wire.grant,
    url: wire.url,
    websocketUrl: wire.websocket_url,
    accessTokenExpiresAt: wire.access_token_expires_at,
    accessTokenTransport: wire.access_token_transport,
  }));

export interface ProxyTarget {
  grant: PreviewGrant;
  machineId: string;
  port: number;
  httpUrl?: string | undefined;
  websocketUrl?: string | undefined;
  /** Secrets for the header `tokenHeaderName` of requests to the two URLs. */
  httpToken?: string | undefined;
  websocketToken?: string | undefined;
  tokenHeaderName: string;
  /** ISO 8601. */
  expiresAt: string;
  requiredForwardedHeaders: string[];
  warnings: string[];
  trafficAccessRequired?: boolean | undefined;
  trafficAccessHeaderName?: string | undefined;
}

export const proxyTargetAnswer = z
  .looseObject({
    grant: grantAnswer,
    machine_id: text,
    port: z.number(),
    token_header_name: text,
    expires_at: text,
    required_forwarded_headers: z.array(text).nullish(),
    warnings: z.array(text).nullish(),
    http_url: optionalText,
    websocket_url: optionalText,
    http_token: optionalText,
    websocket_token: optionalText,
    traffic_access_required: z.boolean().nullish(),
    traffic_access_header_name: optionalText,
  })
  .transform((wire): ProxyTarget => ({
    grant: wire.grant,
    machineId: wire.machine_id,
    port: wire.port,
    httpUrl: wire.http_url,
    websocketUrl: wire.websocket_url,
    httpToken: wire.http_token,
    websocketToken: wire.websocket_token,
    tokenHeaderName: wire.token_header_name,
    expiresAt: wire.expires_at,
    requiredForwardedHeaders: wire.required_forwarded_headers ?? [],
    warnings: wire.warnings ?? [],
    trafficAccessRequired: wire.traffic_access_required ?? undefined,
    trafficAccessHeaderName: wire.traffic_access_header_name,
  }));

export interface PreviewReadiness {
  ready: boolean;
  routeReady: boolean;
  serviceReady: boolean;
  machineId: string;
  port: number;
  kind: Open<"http" | "tcp">;
  /** ISO 8601. */
  checkedAt: string;
  elapsedMs: number;
  attempts: number;
  path?: string | undefined;
  /** Why it is not ready. */
  code?: string | undefined;
  error?: string | undefined;
  suggestedAction?: string | undefined;
}

export const readinessAnswer = z
  .looseObject({
    ready: z.boolean(),
    route_ready: z.boolean(),
    service_ready: z.boolean(),
    machine_id: text,
    port: z.number(),
    kind: text,
    checked_at: text,
    elapsed_ms: z.number(),
    attempts: z.number(),
    path: optionalText,
    code: optionalText,
    error: optionalText,
    suggested_action: optionalText,
  })
  .transform((wire): PreviewReadiness => ({
    ready: wire.ready,
    routeReady: wire.route_ready,
    serviceReady: wire.service_ready,
    machineId: wire.machine_id,
    port: wire.port,
    kind: wire.kind,
    checkedAt: wire.checked_at,
    elapsedMs: wire.elapsed_ms,
    attempts: wire.attempts,
    path: wire.path,
    code: wire.code,
    error: wire.error,
    suggestedAction: wire.suggested_action,
  }));
