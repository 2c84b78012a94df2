import { readErrorEnvelope } from "../../sdk/src/dedalus/error-envelope";

test.each<[string, unknown, object | undefined]>([
  [
    "body A",
    {
      error_code: "RATE_LIMITED",
      message: "slow down",
      retryable: true,
      retry_after_ms: 84,
      details: { rate_limit_scope: "read_lifecycle_routes" },
    },
    {
      code: "RATE_LIMITED",
      message: "slow down",
      retryable: true,
      retryAfterMs: 84,
      details: { rate_limit_scope: "read_lifecycle_routes" },
    },
  ],
  [
    "body A with fields of the wrong kind, which never hide the message",
    { error_code: "X", message: "m", retryable: "yes", retry_after_ms: -1, details: { n: 5 } },
    { code: "X", message: "m", retryable: undefined, retryAfterMs: undefined, details: { n: "5" } },
  ],
  [
    "body B with the places of the faults, without the rejected values",
    {
      title: "Unprocessable Entity",
      status: 422,
      detail: "validation failed",
      errors: [{ message: "expected number >= 0.25", location: "body.vcpu", value: "hunter2" }],
    },
    {
      message: "validation failed: body.vcpu: expected number >= 0.25",
      details: { "body.vcpu": "expected number >= 0.25" },
    },
  ],
  ["body B with a title only", { title: "Not Found", status: 404 }, { message: "Not Found" }],
  ["another object", { error: { message: "no" } }, undefined],
  ["a list", [], undefined],
  ["null", null, undefined],
  ["a text", "no", undefined],
])("reads %s", (_name, body, expected) => {
  expect(readErrorEnvelope(JSON.stringify(body))).toEqual(expected);
});

test("reads what is not JSON as no envelope", () => {
  expect(readErrorEnvelope("<html>502 Bad Gateway</html>")).toBeUndefined();
  expect(readErrorEnvelope("")).toBeUndefined();
});
