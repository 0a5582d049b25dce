// Reads MessagePack as memberlist's peers write it: the old raw family, and the newer str/bin forms
// that Consul's codec also emits. Every length is checked before it is believed.

/** The bytes are not what the protocol allows; the packet or stream is dropped and counted. */
export class WireError extends Error {
  override name = "WireError";
}

/** The bytes end before the value does; on a stream more may come. */
export class TruncatedError extends WireError {
  override name = "TruncatedError";
}

const utf8 = new TextDecoder("utf-8", { fatal: true });
const depthMax = 16;

export class Reader {
  readonly bytes: Uint8Array;
  offset: number;

  constructor(bytes: Uint8Array, offset = 0) {
    this.bytes = bytes;
    this.offset = offset;
  }

  byte(): number {
    const at = this.#take(1);
    return this.bytes[at]!;
  }

  uint16(): number {
    const at = this.#take(2);
    return (this.bytes[at]! << 8) | this.bytes[at + 1]!;
  }

  uint32(): number {
    const at = this.#take(4);
    const { bytes } = this;
    return ((bytes[at]! << 24) | (bytes[at + 1]! << 16) | (bytes[at + 2]! << 8) |
      bytes[at + 3]!) >>> 0;
  }

  /** A copy, so that what is kept of a packet does not hold the whole packet. */
  take(length: number): Uint8Array {
    const at = this.#take(length);
    return this.bytes.slice(at, at + length);
  }

  /** The next value is nil; if so it is consumed. */
  nil(): boolean {
    if (this.#peek() !== 0xc0) return false;
    this.offset++;
    return true;
  }

  boolean(): boolean {
    const first = this.byte();
    if (first === 0xc3) return true;
    if (first === 0xc2 || first === 0xc0) return false;
    throw new WireError(`expected a boolean, but found ${hex(first)}`);
  }

  /** An integer; floats are refused, as Go's decoder refuses them. */
  integer(): number {
    const first = this.byte();
    if (first < 0x80) return first;
    if (first >= 0xe0) return first - 0x100;
    switch (first) {
      case 0xc0:
        return 0;
      case 0xcc:
        return this.byte();
      case 0xcd:
        return this.uint16();
      case 0xce:
        return this.uint32();
      case 0xcf:
        return this.#wide(this.uint32());
      case 0xd0:
        return (this.byte() << 24) >> 24;
      case 0xd1:
        return (this.uint16() << 16) >> 16;
      case 0xd2:
        return this.uint32() | 0;
      case 0xd3:
        return this.#wide(this.uint32() | 0);
      default:
        throw new WireError(`expected an integer, but found ${hex(first)}`);
    }
  }

  float(): number {
    const first = this.#peek();
    if (first !== 0xcb && first !== 0xca) return this.integer();
    const at = this.#take(first === 0xcb ? 9 : 5) + 1;
    const view = new DataView(this.bytes.buffer, this.bytes.byteOffset + at);
    return first === 0xcb ? view.getFloat64(0) : view.getFloat32(0);
  }

  /** Bytes or text; nil is null. */
  raw(): Uint8Array | null {
    if (this.nil()) return null;
    return this.take(this.#rawLength());
  }

  text(): string {
    if (this.nil()) return "";
    const length = this.#rawLength();
    const at = this.#take(length);
    return decodeText(this.bytes, at, length);
  }

  /** The next bytes are these; if so they are consumed. Saves making text of well-known keys. */
  expect(expected: Uint8Array): boolean {
    const { bytes, offset } = this;
    if (expected.length > bytes.length - offset) return false;
    for (let i = 0; i < expected.length; i++) if (bytes[offset + i] !== expected[i]) return false;
    this.offset = offset + expected.length;
    return true;
  }

  /** The number of entries of the map that follows; nil is an empty map. */
  mapCount(): number {
    const first = this.byte();
    if (first >= 0x80 && first <= 0x8f) return first & 0x0f;
    if (first === 0xc0) return 0;
    if (first === 0xde) return this.#fitting(this.uint16() * 2) / 2;
    if (first === 0xdf) return this.#fitting(this.uint32() * 2) / 2;
    throw new WireError(`expected a map, but found ${hex(first)}`);
  }

  /** The number of items of the array that follows; nil is an empty array. */
  arrayCount(): number {
    const first = this.byte();
    if (first >= 0x90 && first <= 0x9f) return first & 0x0f;
    if (first === 0xc0) return 0;
    if (first === 0xdc) return this.#fitting(this.uint16());
    if (first === 0xdd) return this.#fitting(this.uint32());
    throw new WireError(`expected an array, but found ${hex(first)}`);
  }

  /** Steps over one value of any kind. */
  skip(depth = 0): void {
    if (depth > depthMax) throw new WireError(`nested deeper than ${depthMax}`);
    const first = this.#peek();
    if (first < 0x80 || first >= 0xe0 || (first >= 0xc0 && first <= 0xc3)) this.offset++;
    else if (first <= 0x8f || first === 0xde || first === 0xdf) {
      for (let left = this.mapCount() * 2; left > 0; left--) this.skip(depth + 1);
    } else if (first <= 0x9f || first === 0xdc || first === 0xdd) {
      for (let left = this.arrayCount(); left > 0; left--) this.skip(depth + 1);
    } else if (first <= 0xbf || (first >= 0xc4 && first <= 0xc6) || (first >= 0xd9)) {
      this.#take(this.#rawLength());
    } else this.#skipFixed(this.byte());
  }

  #skipFixed(first: number): void {
    const lengths: Record<number, number> = {
      0xca: 4,
      0xcb: 8,
      0xcc: 1,
      0xcd: 2,
      0xce: 4,
      0xcf: 8,
      0xd0: 1,
      0xd1: 2,
      0xd2: 4,
      0xd3: 8,
      0xd4: 2,
      0xd5: 3,
      0xd6: 5,
      0xd7: 9,
      0xd8: 17,
    };
    const length = lengths[first];
    if (length === undefined) throw new WireError(`unknown MessagePack type ${hex(first)}`);
    this.#take(length);
  }

  #rawLength(): number {
    const first = this.byte();
    if (first >= 0xa0 && first <= 0xbf) return first & 0x1f;
    if (first === 0xd9 || first === 0xc4) return this.byte();
    if (first === 0xda || first === 0xc5) return this.uint16();
    if (first === 0xdb || first === 0xc6) return this.uint32();
    throw new WireError(`expected text or bytes, but found ${hex(first)}`);
  }

  #wide(high: number): number {
    const low = this.uint32();
    return high * 0x1_0000_0000 + low;
  }

  /** A container cannot have more values than there are bytes left. */
  #fitting(count: number): number {
    if (count > this.bytes.length - this.offset) {
      throw new TruncatedError(`${count} values are announced, but the bytes end`);
    }
    return count;
  }

  #peek(): number {
    if (this.offset >= this.bytes.length) throw new TruncatedError("the bytes end in a value");
    return this.bytes[this.offset]!;
  }

  #take(length: number): number {
    const at = this.offset;
    if (length > this.bytes.length - at) throw new TruncatedError("the bytes end in a value");
    this.offset = at + length;
    return at;
  }
}

/** Short ASCII, nearly all there is in gossip, without the cost of a decoder call. */
function decodeText(bytes: Uint8Array, at: number, length: number): string {
  if (length <= 24) {
    let text = "";
    for (let i = at; i < at + length; i++) {
      const code = bytes[i]!;
      if (code >= 0x80) return strict(bytes.subarray(at, at + length));
      text += String.fromCharCode(code);
    }
    return text;
  }
  return strict(bytes.subarray(at, at + length));
}

function strict(bytes: Uint8Array): string {
  try {
    return utf8.decode(bytes);
  } catch {
    throw new WireError("text is not UTF-8");
  }
}

function hex(byte: number): string {
  return `0x${byte.toString(16).padStart(2, "0")}`;
}
