// Keys as bytes: prefixes as ranges, and texts that name them.

export interface KeyRange {
  readonly low: Uint8Array;
  /** The first key after the range; undefined: it has no end. */
  readonly high: Uint8Array | undefined;
}

/** All keys that begin with these bytes. */
export function keyRange(prefix: Uint8Array): KeyRange {
  let end = prefix.length;
  while (end > 0 && prefix[end - 1] === 0xff) end--;
  if (end === 0) return { low: prefix, high: undefined };
  // Not slice(): a Buffer's shares its bytes.
  const high = Uint8Array.from(prefix.subarray(0, end));
  high[end - 1]!++;
  return { low: prefix, high };
}

export function sameBytes(a: Uint8Array, b: Uint8Array): boolean {
  return a.length === b.length && (a.length === 0 || Buffer.compare(a, b) === 0);
}

/** As Go's %q shows it in Consul's texts. */
export function quoteKey(key: Uint8Array): string {
  return quote(decoder.decode(key));
}

export function quote(text: string): string {
  return JSON.stringify(text);
}

/** A text that is equal exactly when the bytes are. */
export function keyText(key: Uint8Array): string {
  return Buffer.from(key.buffer, key.byteOffset, key.byteLength).toString("latin1");
}

const decoder = new TextDecoder();
