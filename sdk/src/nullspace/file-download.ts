/** A file on its way here: bytes as they come, counted, and a cut told as a typed error. */
import type { Call, CallOptions } from "../call";
import type { Transport } from "../http";

/** Can be read once. */
export interface FileDownload extends AsyncIterable<Buffer> {
  /** Where the service tells. */
  readonly sizeBytes: number | undefined;
  /** Gives it up, also when it was never read. */
  close(): void;
}

interface Progress {
  onProgress?: ((progress: { bytes: number; totalBytes: number | undefined }) => void) | undefined;
}

export async function readDownload(
  transport: Transport,
  call: Call,
  { signal, onProgress }: CallOptions & Progress,
): Promise<FileDownload> {
  const { body, sizeBytes } = await transport.bytes(call);
  async function* read(): AsyncGenerator<Buffer, void> {
    let bytes = 0;
    try {
      for await (const chunk of body as AsyncIterable<Buffer>) {
        bytes += chunk.length;
        onProgress?.({ bytes, totalBytes: sizeBytes });
        yield chunk;
      }
    } catch (error) {
      signal?.throwIfAborted();
      // What `onProgress` throws is the caller's own.
      throw body.errored === null ? error : transport.connectionFailure(error, call);
    }
    if (bytes === 0) onProgress?.({ bytes, totalBytes: sizeBytes });
  }
  return { sizeBytes, close: () => void body.destroy(), [Symbol.asyncIterator]: read };
}
