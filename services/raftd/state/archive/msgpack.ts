// Reads MessagePack as Consul's snapshots have it: strings and bytes are both raw, struct keys are
// sorted, and a map key may be a map. No general codec has all of that; its writer is
// msgpack-writer.ts.

/** A number that must be written as a float of this width. */
export class Float {
  readonly value: number;
  readonly bits: 32 | 64;

  constructor(value: number, bits: 32 | 64 = 64) {
    this.value = value;
    this.bits = bits;
  }
}

/** Raw values stay bytes: whether they are text is for the reader to know. */
export type Packed =
  | null
  | boolean
  | number
  | bigint
  | Uint8Array
  | Packed[]
  | { [key: string]: Packed };

export type Packable =
  | null
  | boolean
  | number
  | bigint
  | string
  | Uint8Array
  | Float
  | readonly Packable[]
  | Map<Packable, Packable>
  | { readonly [key: string]: Packable };

const decoder = new TextDecoder();
const depthMax = 128;
/** Names of fields by their hash; map keys of users may be among them. */
const names = new Map<number, string>();
const namesMax = 4_096;

export class PackReader {
  readonly #bytes: Uint8Array;
  readonly #view: DataView;
  #at: number;

  constructor(bytes: Uint8Array, at = 0) {
    // Not a Buffer, whose slices are no copies.
    this.#bytes = new Uint8Array(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    this.#at = at;
  }

  get position(): number {
    return this.#at;
  }

  get isAtEnd(): boolean {
    return this.#at >= this.#bytes.length;
  }

  byte(): number {
    this.#need(1);
    return this.#bytes[this.#at++]!;
  }

  value(depth = 0): Packed {
    if (depth > depthMax) throw new Error("MessagePack nested too deeply");
    const tag = this.byte();
    if (tag < 0x80) return tag;
    if (tag < 0x90) return this.#map(tag & 15, depth);
    if (tag < 0xa0) return this.#array(tag & 15, depth);
    if (tag < 0xc0) return this.#raw(tag & 31);
    if (tag >= 0xe0) return tag - 256;
    switch (tag) {
      case 0xc0:
        return null;
      case 0xc2:
        return false;
      case 0xc3:
        return true;
      case 0xc4:
      case 0xd9:
        return this.#raw(this.#unsigned(1));
      case 0xc5:
      case 0xda:
        return this.#raw(this.#unsigned(2));
      case 0xc6:
      case 0xdb:
        return this.#raw(this.#unsigned(4));
      case 0xca:
        this.#need(4);
        this.#at += 4;
        return this.#view.getFloat32(this.#at - 4);
      case 0xcb:
        this.#need(8);
        this.#at += 8;
        return this.#view.getFloat64(this.#at - 8);
      case 0xdc:
        return this.#array(this.#unsigned(2), depth);
      case 0xdd:
        return this.#array(this.#unsigned(4), depth);
      case 0xde:
        return this.#map(this.#unsigned(2), depth);
      case 0xdf:
        return this.#map(this.#unsigned(4), depth);
      default:
        return this.#integer(tag);
    }
  }

  #integer(tag: number): number | bigint {
    if (tag >= 0xcc && tag <= 0xce) return this.#unsigned(1 << (tag - 0xcc));
    if (tag === 0xcf || tag === 0xd3) {
      this.#need(8);
      this.#at += 8;
      const at = this.#at - 8;
      const big = tag === 0xcf ? this.#view.getBigUint64(at) : this.#view.getBigInt64(at);
      return BigInt.asIntN(54, big) === big ? Number(big) : big;
    }
    if (tag >= 0xd0 && tag <= 0xd2) {
      const bytes = 1 << (tag - 0xd0);
      const unsigned = this.#unsigned(bytes);
      const limit = 2 ** (8 * bytes);
      return unsigned < limit / 2 ? unsigned : unsigned - limit;
    }
    throw new Error(`unexpected MessagePack tag 0x${tag.toString(16)} at ${this.#at - 1}`);
  }

  #unsigned(bytes: number): number {
    this.#need(bytes);
    let value = 0;
    for (let i = 0; i < bytes; i++) value = value * 256 + this.#bytes[this.#at++]!;
    return value;
  }

  #raw(length: number): Uint8Array {
    this.#need(length);
    this.#at += length;
    return this.#bytes.slice(this.#at - length, this.#at);
  }

  #array(length: number, depth: number): Packed[] {
    this.#need(length);
    const items: Packed[] = [];
    for (let i = 0; i < length; i++) items.push(this.value(depth + 1));
    return items;
  }

  #map(length: number, depth: number): { [key: string]: Packed } {
    this.#need(length * 2);
    const map: { [key: string]: Packed } = Object.create(null);
    for (let i = 0; i < length; i++) {
      const name = this.#shortName() ?? keyText(this.value(depth + 1));
      map[name] = this.value(depth + 1);
    }
    return map;
  }

  /** Structs have few names, again and again. */
  #shortName(): string | undefined {
    const tag = this.#bytes[this.#at]!;
    if (tag < 0xa0 || tag >= 0xc0) return undefined;
    const length = tag & 31;
    const start = this.#at + 1;
    this.#need(1 + length);
    let hash = length;
    for (let i = 0; i < length; i++) hash = (hash * 31 + this.#bytes[start + i]!) | 0;
    const known = names.get(hash);
    if (known !== undefined && this.#isText(known, start, length)) {
      this.#at = start + length;
      return known;
    }
    const name = keyText(this.value());
    if (name.length === length && names.size < namesMax) names.set(hash, name);
    return name;
  }

  #isText(text: string, start: number, length: number): boolean {
    if (text.length !== length) return false;
    for (let i = 0; i < length; i++) {
      if (text.charCodeAt(i) !== this.#bytes[start + i]) return false;
    }
    return true;
  }

  #need(bytes: number): void {
    if (this.#at + bytes > this.#bytes.length) throw new Error("MessagePack ends too early");
  }
}

/** A map as a key is known by its only name. */
function keyText(key: Packed): string {
  if (key instanceof Uint8Array) return decoder.decode(key);
  if (typeof key === "object" && key !== null && !Array.isArray(key)) return keyText(key.Name!);
  return String(key);
}
