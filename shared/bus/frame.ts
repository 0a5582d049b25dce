// Frames as bytes: a 4-byte big-endian length, then envelope.Frame. The envelope is read by hand,
// because the generated codec would make three objects per call where one that is reused does.

/** Field numbers of envelope.Frame's body. */
export const body = {
  hello: 2,
  request: 3,
  response: 4,
  item: 5,
  end: 6,
  failure: 7,
  cancel: 8,
  credit: 9,
  ping: 10,
  pong: 11,
} as const;

export const lengthBytes = 4;

/** One frame in place; valid until the reader moves on. */
export class Frame {
  buffer: Uint8Array = new Uint8Array(0);
  call = 0;
  /** A number of `body`; 0: none known, as from a newer release. */
  body = 0;
  /** Where the body's bytes lie in `buffer`, for hello, request, response, item and failure. */
  start = 0;
  end = 0;
  /** Of credit, ping and pong. */
  value = 0;

  /** Reads the frame that fills buffer[start, end). False: malformed. */
  read(buffer: Uint8Array, start: number, end: number): boolean {
    this.buffer = buffer;
    this.call = 0;
    this.body = 0;
    cursor.set(buffer, start, end);
    while (cursor.at < end) {
      const tag = cursor.varint();
      const field = tag >>> 3;
      const isKnown = field > 1 && field <= body.pong;
      if ((tag & 7) === 0) {
        const value = cursor.varint();
        if (field === 1) this.call = value;
        else if (isKnown) {
          if (isBytes(field)) return false;
          this.body = field;
          this.value = value;
        }
      } else if ((tag & 7) === 2) {
        const size = cursor.varint();
        if (isKnown) {
          if (!isBytes(field)) return false;
          this.body = field;
          this.start = cursor.at;
          this.end = cursor.at + size;
        }
        cursor.at += size;
      } else if (!cursor.skip(tag & 7)) return false;
      if (cursor.isBroken) return false;
    }
    return this.call <= 0xffff_ffff;
  }
}

function isBytes(field: number): boolean {
  return field <= body.item || field === body.failure;
}

/** The three parts of envelope.Request, in place. */
export class RequestParts {
  method = "";
  contextStart = 0;
  contextEnd = 0;
  payloadStart = 0;
  payloadEnd = 0;

  read(buffer: Uint8Array, start: number, end: number): boolean {
    this.method = "";
    this.contextStart =
      this.contextEnd =
      this.payloadStart =
      this.payloadEnd =
        start;
    cursor.set(buffer, start, end);
    while (cursor.at < end) {
      const tag = cursor.varint();
      if ((tag & 7) === 2) {
        const size = cursor.varint();
        const from = cursor.at;
        cursor.at += size;
        if (cursor.isBroken) return false;
        if (tag === 10) this.method = asciiName(buffer, from, from + size);
        else if (tag === 18) [this.contextStart, this.contextEnd] = [from, from + size];
        else if (tag === 26) [this.payloadStart, this.payloadEnd] = [from, from + size];
      } else if (!cursor.skip(tag & 7)) return false;
      if (cursor.isBroken) return false;
    }
    return cursor.at === end;
  }
}

// Method names are few and come over and over: found by their bytes without making a string.
const names = new Map<number, { name: string; bytes: Uint8Array }>();
const namesMax = 1000;

function asciiName(buffer: Uint8Array, start: number, end: number): string {
  let hash = end - start;
  for (let i = start; i < end; i++) hash = (Math.imul(hash, 31) + buffer[i]!) | 0;
  const known = names.get(hash);
  if (known !== undefined && equals(known.bytes, buffer, start, end)) return known.name;
  const bytes = buffer.slice(start, end);
  const name = new TextDecoder().decode(bytes);
  if (names.size < namesMax) names.set(hash, { name, bytes });
  return name;
}

function equals(bytes: Uint8Array, buffer: Uint8Array, start: number, end: number): boolean {
  if (bytes.length !== end - start) return false;
  for (let i = 0; i < bytes.length; i++) if (bytes[i] !== buffer[start + i]) return false;
  return true;
}

/** A position in bytes that are not trusted: running over the end shows as `isBroken`. */
class Cursor {
  at = 0;
  #buffer: Uint8Array = new Uint8Array(0);
  #end = 0;
  #isOver = false;

  set(buffer: Uint8Array, start: number, end: number): void {
    this.#buffer = buffer;
    this.at = start;
    this.#end = end;
    this.#isOver = false;
  }

  get isBroken(): boolean {
    return this.#isOver || this.at > this.#end;
  }

  varint(): number {
    let value = 0;
    let factor = 1;
    for (let i = 0; i < 10; i++) {
      if (this.at >= this.#end) break;
      const byte = this.#buffer[this.at++]!;
      value += (byte & 127) * factor;
      if (byte < 128) return value;
      factor *= 128;
    }
    this.#isOver = true;
    return 0;
  }

  /** Passes over a fixed-size field; false for a wire type that does not exist any more. */
  skip(wireType: number): boolean {
    if (wireType === 1) this.at += 8;
    else if (wireType === 5) this.at += 4;
    else return false;
    return true;
  }
}
const cursor = new Cursor();

const none = new Uint8Array(0);

export type SplitError = "oversized" | "malformed";

/** Cuts a byte stream into frames. Frames that lie whole in a chunk are not copied. */
export class FrameSplitter {
  readonly #frameMax: number;
  readonly #frame = new Frame();
  readonly #onFrame: (frame: Frame) => void;
  // The begun frame with its length prefix; grows with what arrived, not with what was announced.
  #carry: Uint8Array = none;
  #carried = 0;
  #isStopped = false;

  constructor(frameMax: number, onFrame: (frame: Frame) => void) {
    this.#frameMax = frameMax;
    this.#onFrame = onFrame;
  }

  /** Makes the rest of what was pushed be ignored, from within `onFrame`. */
  stop(): void {
    this.#isStopped = true;
    this.#carry = none;
    this.#carried = 0;
  }

  push(chunk: Uint8Array): SplitError | undefined {
    let at = 0;
    while (this.#carried > 0 && at < chunk.length && !this.#isStopped) {
      const wanted = this.#carried < lengthBytes
        ? lengthBytes
        : lengthBytes + lengthAt(this.#carry, 0);
      const taken = Math.min(wanted - this.#carried, chunk.length - at);
      this.#keep(chunk, at, at + taken);
      at += taken;
      if (this.#carried < wanted) return undefined;
      const size = lengthAt(this.#carry, 0);
      if (size > this.#frameMax) return "oversized";
      if (wanted !== lengthBytes + size) continue;
      const whole = this.#carry;
      this.#carry = none;
      this.#carried = 0;
      if (!this.#emit(whole, lengthBytes, wanted)) return "malformed";
    }
    while (!this.#isStopped && chunk.length - at >= lengthBytes) {
      const size = lengthAt(chunk, at);
      if (size > this.#frameMax) return "oversized";
      if (chunk.length - at < lengthBytes + size) break;
      const start = at + lengthBytes;
      at = start + size;
      if (!this.#emit(chunk, start, at)) return "malformed";
    }
    if (!this.#isStopped && at < chunk.length) this.#keep(chunk, at, chunk.length);
    // A quiet connection must not keep its last chunk in memory.
    this.#frame.buffer = none;
    return undefined;
  }

  #emit(buffer: Uint8Array, start: number, end: number): boolean {
    if (start === end || !this.#frame.read(buffer, start, end)) return false;
    this.#onFrame(this.#frame);
    return true;
  }

  #keep(chunk: Uint8Array, start: number, end: number): void {
    const needed = this.#carried + end - start;
    if (needed > this.#carry.length) {
      const grown = Buffer.allocUnsafeSlow(Math.max(needed, this.#carry.length * 2, 1024));
      grown.set(this.#carry.subarray(0, this.#carried));
      this.#carry = grown;
    }
    this.#carry.set(
      start === 0 && end === chunk.length ? chunk : chunk.subarray(start, end),
      this.#carried,
    );
    this.#carried = needed;
  }
}

function lengthAt(buffer: Uint8Array, at: number): number {
  return ((buffer[at]! << 24) | (buffer[at + 1]! << 16) | (buffer[at + 2]! << 8) |
    buffer[at + 3]!) >>> 0;
}
