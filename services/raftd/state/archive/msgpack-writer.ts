// Writes MessagePack as Consul's snapshots have it (reader: msgpack.ts).

import { Float } from "./msgpack.ts";
import type { Packable } from "./msgpack.ts";

const encoder = new TextEncoder();
/** Names of fields; map keys of users may be among them. */
const encodedNames = new Map<string, Uint8Array>();
const namesMax = 4_096;

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
      if (value >= 0 && value <= 0xffffffff && Number.isInteger(value)) return this.#small(value);
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
    const keys = inOrder(Object.keys(fields));
    this.#head(keys.length, 0x80, 0xde);
    for (const key of keys) {
      this.#raw(encodedName(key));
      this.value(fields[key]!);
    }
  }

  #small(value: number): void {
    if (value < 0x80) return this.byte(value);
    if (value <= 0xff) return this.#number(0xcc, value, 1);
    if (value <= 0xffff) return this.#number(0xcd, value, 2);
    this.#number(0xce, value, 4);
  }

  #integer(value: bigint): void {
    if (value < 0n) return this.#negative(value);
    if (value <= 0xffffffffn) return this.#small(Number(value));
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

/** Sorting costs more than the rest of a record that is in order already. */
function inOrder(keys: string[]): string[] {
  for (let i = 1; i < keys.length; i++) {
    if (keys[i - 1]! > keys[i]!) return keys.sort();
  }
  return keys;
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
