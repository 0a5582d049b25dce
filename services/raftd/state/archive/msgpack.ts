// MessagePack as Consul's snapshots have it: strings and bytes are both raw, struct keys are sorted,
// and a map key may be a map. Neither is what a general codec writes.

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

const encoder = new TextEncoder();
const decoder = new TextDecoder();
const depthMax = 128;
/** Names of fields by their hash, as read and as written; map keys of users may be among them. */
const names = new Map<number, string>();
const encodedNames = new Map<string, Uint8Array>();
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

export class PackWriter {
  #bytes = new Uint8Array(1 << 16);
  #view = new DataView(this.#bytes.buffer);
  #length = 0;

  get length(): number {
    return this.#length;
  }

  /** What was written since the last time. */
  take(): Uint8Array {
    const taken = this.#bytes.slice(0, this.#length);
    this.#length = 0;
    return taken;
  }

  byte(value: number): void {
    this.#room(1);
    this.#bytes[this.#length++] = value;
  }

  value(value: Packable): void {
    if (value === null) return this.byte(0xc0);
    if (typeof value === "boolean") return this.byte(value ? 0xc3 : 0xc2);
    if (typeof value === "string") return this.#raw(encoder.encode(value));
    if (value instanceof Uint8Array) return this.#raw(value);
    if (value instanceof Float) return this.#float(value);
    if (typeof value === "bigint") return this.#integer(value);
    if (typeof value === "number") {
      if (value >= 0 && value < 0x80 && Number.isInteger(value)) return this.byte(value);
      return Number.isSafeInteger(value)
        ? this.#integer(BigInt(value))
        : this.#float(new Float(value));
    }
    if (Array.isArray(value)) {
      this.#head(value.length, 0x90, 0xdc);
      for (const item of value) this.value(item);
      return;
    }
    if (value instanceof Map) {
      this.#head(value.size, 0x80, 0xde);
      for (const [key, item] of value) {
        this.value(key);
        this.value(item);
      }
      return;
    }
    const fields = value as { readonly [key: string]: Packable };
    const keys = Object.keys(fields).sort();
    this.#head(keys.length, 0x80, 0xde);
    for (const key of keys) {
      this.#raw(encodedName(key));
      this.value(fields[key]!);
    }
  }

  #integer(value: bigint): void {
    if (value < 0n) return this.#negative(value);
    if (value < 0x80n) return this.byte(Number(value));
    if (value <= 0xffn) return this.#number(0xcc, Number(value), 1);
    if (value <= 0xffffn) return this.#number(0xcd, Number(value), 2);
    if (value <= 0xffffffffn) return this.#number(0xce, Number(value), 4);
    this.byte(0xcf);
    this.#room(8);
    this.#view.setBigUint64(this.#length, value);
    this.#length += 8;
  }

  #negative(value: bigint): void {
    if (value >= -32n) return this.byte(Number(value) & 0xff);
    if (value >= -0x80n) return this.#number(0xd0, Number(value), 1);
    if (value >= -0x8000n) return this.#number(0xd1, Number(value), 2);
    if (value >= -0x80000000n) return this.#number(0xd2, Number(value), 4);
    this.byte(0xd3);
    this.#room(8);
    this.#view.setBigInt64(this.#length, value);
    this.#length += 8;
  }

  #float({ value, bits }: Float): void {
    this.byte(bits === 32 ? 0xca : 0xcb);
    this.#room(8);
    if (bits === 32) this.#view.setFloat32(this.#length, value);
    else this.#view.setFloat64(this.#length, value);
    this.#length += bits / 8;
  }

  #raw(bytes: Uint8Array): void {
    const { length } = bytes;
    if (length < 32) this.byte(0xa0 | length);
    else if (length < 0x10000) this.#number(0xda, length, 2);
    else this.#number(0xdb, length, 4);
    this.#room(length);
    this.#bytes.set(bytes, this.#length);
    this.#length += length;
  }

  #head(count: number, fixed: number, wide: number): void {
    if (count < 16) this.byte(fixed | count);
    else if (count < 0x10000) this.#number(wide, count, 2);
    else this.#number(wide + 1, count, 4);
  }

  #number(tag: number, value: number, bytes: 1 | 2 | 4): void {
    this.byte(tag);
    this.#room(4);
    if (bytes === 1) this.#view.setUint8(this.#length, value & 0xff);
    else if (bytes === 2) this.#view.setUint16(this.#length, value & 0xffff);
    else this.#view.setUint32(this.#length, value >>> 0);
    this.#length += bytes;
  }

  #room(bytes: number): void {
    if (this.#length + bytes <= this.#bytes.length) return;
    const grown = new Uint8Array(Math.max(this.#bytes.length * 2, this.#length + bytes));
    grown.set(this.#bytes);
    this.#bytes = grown;
    this.#view = new DataView(grown.buffer);
  }
}

function encodedName(name: string): Uint8Array {
  let bytes = encodedNames.get(name);
  if (bytes === undefined) {
    bytes = encoder.encode(name);
    if (encodedNames.size < namesMax) encodedNames.set(name, bytes);
  }
  return bytes;
}

export function pack(value: Packable): Uint8Array {
  const writer = new PackWriter();
  writer.value(value);
  return writer.take();
}
