/** A plain HTTP client of the file routes: raw bodies, bodies that are cut, and every answer checked against the contract. */
import { createHash } from "node:crypto";
import { once } from "node:events";
import { type IncomingMessage, request } from "node:http";
import { connect } from "node:net";
import { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import { Api, newKey } from "./control-plane";

export interface RawAnswer {
  status: number;
  headers: Headers;
  bytes: Buffer;
  json: Record<string, unknown>;
}

type Body = string | Buffer | FormData | AsyncIterable<Buffer>;

export const sha256 = (bytes: Uint8Array): string => createHash("sha256").update(bytes).digest("hex");

export class FilesApi extends Api {
  /** Bytes there and back. */
  async raw(
    method: string,
    path: string,
    body?: Body,
    headers: Record<string, string> = {},
  ): Promise<RawAnswer> {
    const response = await fetch(this.local.nullspace + path, {
      method,
      headers: {
        authorization: `Bearer ${this.local.apiKey}`,
        ...(body === undefined || body instanceof FormData
          ? {}
          : { "content-type": "application/octet-stream" }),
        ...headers,
      },
      ...(body === undefined ? {} : { body: body as NonNullable<RequestInit["body"]>, duplex: "half" }),
    });
    const bytes = Buffer.from(await response.arrayBuffer());
    const isJson = response.headers.get("content-type")?.startsWith("application/json") === true;
    const json = isJson ? (JSON.parse(bytes.toString()) as Record<string, unknown>) : {};
    const text = bytes.toString("latin1");
    const answer = {
      status: response.status,
      headers: response.headers,
      body: text,
      data: isJson ? json : text,
    };
    this.check.check(method, path.split("?")[0] ?? "", answer);
    return { status: response.status, headers: response.headers, bytes, json };
  }

  /** A body that nobody keeps, as fetch does until its end. */
  async stream(method: string, path: string, body: AsyncIterable<Buffer>): Promise<number> {
    const sending = request(this.local.nullspace + path, {
      method,
      headers: { authorization: `Bearer ${this.local.apiKey}` },
    });
    const answered = once(sending, "response") as Promise<[IncomingMessage]>;
    await pipeline(Readable.from(body), sending);
    const [answer] = await answered;
    answer.resume();
    return answer.statusCode ?? 0;
  }

  /** The head of a request and the first bytes of its body; its connection is cut when the server has read them. */
  async cut(
    method: string,
    path: string,
    head: Record<string, string>,
    body: string | Buffer,
  ): Promise<void> {
    const { hostname, port, pathname } = new URL(this.local.nullspace + path);
    const lines = { host: `${hostname}:${port}`, authorization: `Bearer ${this.local.apiKey}`, ...head };
    const text = Object.entries(lines).map(([name, value]) => `${name}: ${value}\r\n`);
    const query = path.includes("?") ? `?${path.split("?")[1] ?? ""}` : "";
    await new Promise<void>((resolve, reject) => {
      const socket = connect(Number(port), hostname, () => {
        socket.write(`${method} ${pathname}${query} HTTP/1.1\r\n${text.join("")}\r\n`);
        socket.write(body, () => socket.resetAndDestroy());
      });
      socket.once("error", reject).once("close", () => {
        resolve();
      });
    });
  }

  async sh(id: string, command: string): Promise<string> {
    const answer = await this.ask("POST", `/v1/machines/${id}/exec`, { body: { command, shell: true } });
    return String(answer.json["stdout"]);
  }

  /** A session of an upload in parts; its `upload_id` and the rest. */
  async upload(
    id: string,
    fields: Record<string, unknown>,
    key = newKey(),
  ): Promise<Record<string, unknown>> {
    const { json, status, body } = await this.ask("POST", `/v1/machines/${id}/uploads`, {
      body: { ...file, ...fields },
      key,
    });
    if (status !== 200) throw new Error(body);
    return json["session"] as Record<string, unknown>;
  }

  part = async (
    id: string,
    upload: unknown,
    part: number | string,
    bytes: Buffer,
    headers = {},
  ): Promise<RawAnswer> =>
    this.raw("PUT", `/v1/machines/${id}/uploads/${String(upload)}/parts/${String(part)}`, bytes, headers);
}

const file = {
  kind: "file",
  source_kind: "restartable_file",
  conflict: "replace",
  checksum_algorithm: "sha256",
};

/** The reason of a refused upload, as the vendor's client reads it. */
export const reasonOf = ({ json }: { json: Record<string, unknown> }): unknown =>
  (json["error_detail"] as { reason?: unknown } | undefined)?.reason;

export const filePath = (id: string, path: string, more = ""): string =>
  `/v1/machines/${id}/file?path=${encodeURIComponent(path)}${more}`;
