/** Memory for large frames that is used again: to get it anew for each would take as long as to fill it ten times. */

/** Shorter ones cost little. */
const leastCharacters = 4_096;
/** 64 KiB of text, much of it escaped. */
const mostCharacters = 98_304;
/** Of UTF-8, for each character of a string. */
const bytesACharacter = 3;
/** As many are kept for the next ones. */
const kept = 8;
const free: Buffer[] = [];

export interface FrameBytes {
  bytes: Buffer;
  /** Call it when the bytes may be written over. */
  release: () => void;
}

/** The bytes of a text; undefined when it is too short, or too long, for this to be of use. */
export function frameBytes(text: string): FrameBytes | undefined {
  if (text.length < leastCharacters || text.length > mostCharacters) return undefined;
  const memory = free.pop() ?? Buffer.allocUnsafeSlow(mostCharacters * bytesACharacter);
  return {
    bytes: memory.subarray(0, memory.write(text)),
    release: () => {
      if (free.length < kept) free.push(memory);
    },
  };
}
