import { inspect } from "node:util";
import {
  AnswerError,
  AuthError,
  BuildError,
  ConflictError,
  FileUploadError,
  MachinesError,
  NotFoundError,
  NotImplementedError,
  PermissionError,
  QuotaExceededError,
  RateLimitError,
} from "../../../sdk/src/errors";
import { errorClassOf } from "../../../sdk/src/nullspace/error-classes";
import { sendJson } from "../loopback";
import { closeAll, failureOf, key, serve } from "./client-to";

afterEach(closeAll);

describe("a code becomes its class, whatever the status", () => {
  const table: [new (...args: never[]) => Error, string[]][] = [
    [
      AuthError,
      [
        "unauthorized",
        "unauthenticated",
        "missing_api_key",
        "edge_token_missing",
        "edge_token_scope_mismatch",
        "preview_grant_revoked",
        "preview_proxy_token_expired",
        "preview_proxy_token_revoked",
      ],
    ],
    [PermissionError, ["forbidden", "permission_denied", "volume_permission_denied"]],
    [QuotaExceededError, ["quota_exceeded", "capacity_exceeded", "volume_quota_exceeded", "quotas"]],
    [
      ConflictError,
      [
        "conflict",
        "machine_not_ready",
        "snapshot_in_use",
        "rebuild_required",
        "incompatible_snapshot",
        "volume_busy",
        "transition_conflict",
      ],
    ],
    [NotFoundError, ["not_found", "machine_not_found", "snapshot_not_found", "file_not_found"]],
    [FileUploadError, ["file_upload_error"]],
    [BuildError, ["build_error"]],
    [RateLimitError, ["rate_limit_exceeded"]],
    [NotImplementedError, ["not_implemented"]],
    [
      AnswerError,
      [
        "invalid_request",
        "transition_in_progress",
        "exec_failed",
        "exec_timeout",
        "internal_error",
        "new_one",
      ],
    ],
  ];
  test.each(table.flatMap(([kind, codes]) => codes.map((code) => [code, kind] as const)))(
    "%s",
    (code, kind) => {
      for (const status of [400, 404, 409, 418, 500, 503]) expect(errorClassOf(code, status)).toBe(kind);
      expect(Object.getPrototypeOf(kind)).toBe(MachinesError);
    },
  );

  test("but 429 without a code is the rate limit, and a 404 without one is no 'not found'", () => {
    expect(errorClassOf("unknown", 429)).toBe(RateLimitError);
    expect(errorClassOf("quota_exceeded", 429)).toBe(QuotaExceededError);
    expect(errorClassOf("unknown", 404)).toBe(AnswerError);
  });
});

const answering = async (status: number, body: unknown, headers: Record<string, string> = {}) => {
  const { client } = await serve(
    (response) =>
      typeof body === "string"
        ? response.writeHead(status, headers).end(body)
        : sendJson(response, status, body, headers),
    { maxRetries: 0 },
  );
  return failureOf(client.machines.get("mch_one"));
};

describe("an error answer", () => {
  test("in the flat envelope carries all that the service said", async () => {
    const error = await answering(409, {
      error: "it sleeps",
      code: "MACHINE_NOT_READY",
      request_id: "req-body",
      retryable: true,
      suggested_action: "Resume it first.",
      details: { machine_id: "mch_one", tries: 3 },
    });
    expect(error).toBeInstanceOf(ConflictError);
    expect(error).toMatchObject({
      status: 409,
      code: "machine_not_ready",
      requestId: "req-body",
      retryable: true,
      suggestedAction: "Resume it first.",
      details: { machine_id: "mch_one", tries: "3" },
      machineId: "mch_one",
    });
    expect(error.message).toMatch(
      /^read machine mch_one at http:.*answered 409 machine_not_ready: it sleeps \(request id req-body\)\. Resume it first\.$/,
    );
  });

  test("in the nested envelope is the same", async () => {
    const inner = { message: "full", code: "capacity_exceeded", retryable: true, details: { zone: "a" } };
    const error = await answering(503, { error: inner, request_id: "outer", suggested_action: "Wait." });
    expect(error).toBeInstanceOf(QuotaExceededError);
    expect(error).toMatchObject({
      code: "capacity_exceeded",
      requestId: "outer",
      suggestedAction: "Wait.",
      details: { zone: "a" },
      retryable: true,
    });
  });

  test("takes its request id from the header where the body has none", async () => {
    const error = await answering(
      404,
      { error: "gone", code: "machine_not_found" },
      { "x-request-id": "req-h" },
    );
    expect(error).toBeInstanceOf(NotFoundError);
    expect(error).toMatchObject({ requestId: "req-h", retryable: false });
  });

  test("of a failed upload says why in its details", async () => {
    const error = await answering(409, {
      error: "no",
      code: "file_upload_error",
      error_detail: { reason: "target_conflict", message: "it is there", retryable: false, upload_id: "up" },
    });
    expect(error).toBeInstanceOf(FileUploadError);
    expect(error).toMatchObject({
      retryable: false,
      details: { reason: "target_conflict", upload_id: "up" },
    });
  });

  test.each<[string, unknown, string]>([
    ["a page", "<html>bad gateway", "<html>bad gateway"],
    ["an array", [1], "[1]"],
    ["an empty object", {}, "{}"],
    ["nothing", "", ""],
  ])("that is %s keeps its text under the code unknown", async (_name, body, raw) => {
    const error = await answering(502, body);
    expect(error).toBeInstanceOf(AnswerError);
    expect(error).toMatchObject({ code: "unknown", status: 502, rawBody: raw, retryable: true });
  });

  test("with odd members still says its message", async () => {
    const error = await answering(400, {
      error: "bad",
      code: "invalid_request",
      retryable: "yes",
      details: 5,
    });
    expect(error).toMatchObject({ code: "invalid_request", retryable: false });
    expect(error.message).toContain("bad");
  });

  test("of 401 says what to check, and no error holds the key that a server echoes", async () => {
    const error = await answering(401, {
      error: `wrong key ${key}`,
      code: "unauthorized",
      details: { [key]: key },
      suggested_action: "",
    });
    expect(error.message).toContain("NULLSPACE_API_KEY");
    expect(inspect(error, { depth: 10, showHidden: true })).not.toContain(key);
  });

  test("where nothing listens names the setting to check", async () => {
    const { client, server } = await serve(() => undefined);
    await server.close();
    const error = await failureOf(client.machines.get("mch_one"));
    expect(error).toMatchObject({ code: "connection_refused", retryable: true });
    expect(error.message).toContain("NULLSPACE_API_URL");
  });
});
