// LZW, least significant bit first, 8-bit literals, codes of 9 to 12 bits: the compress layer of
// memberlist. The deflated bytes equal those of Go's compress/lzw.
import { WireError } from "./reader.ts";

const clear = 256;
const end = 257;
const widthMax = 12;
const codeMax = (1 << widthMax) - 1;
const none = -1;

/** Packs codes into bytes, lowest bits first. */
class BitWriter {
  #bytes = new Uint8Array(256);
  #length = 0;
  #pending = 0;
  #count = 0;

  put(code: number, width: number): void {
    this.#pending |= code << this.#count;
    this.#count += width;
    while (this.#count >= 8) this.#shift();
  }

  finish(): Uint8Array {
    if (this.#count > 0) this.#shift();
    return this.#bytes.slice(0, this.#length);
  }

  #shift(): void {
    if (this.#length === this.#bytes.length) {
      const grown = new Uint8Array(this.#bytes.length * 2);
      grown.set(this.#bytes);
      this.#bytes = grown;
    }
    this.#bytes[this.#length++] = this.#pending & 0xff;
    this.#pending >>>= 8;
    this.#count -= 8;
  }
}

/** Known strings as (code of all but the last byte, last byte) → code, by open addressing. An entry
 *  holds the 20 bits of the key above the 12 of the code; 0 is free, as codes begin at 258. */
const tableBits = 14;
const tableMask = (1 << tableBits) - 1;

export function deflate(plain: Uint8Array): Uint8Array {
  const out = new BitWriter();
  const table = new Uint32Array(1 << tableBits);
  let width = 9;
  let highest = end;
  /** Writes a code; false when the table was full and has been cleared. */
  const put = (code: number): boolean => {
    out.put(code, width);
    highest++;
    if (highest === 1 << width) width++;
    if (highest !== codeMax) return true;
    out.put(clear, width);
    table.fill(0);
    width = 9;
    highest = end;
    return false;
  };
  out.put(clear, width);
  if (plain.length > 0) {
    let code = plain[0]!;
    for (let i = 1; i < plain.length; i++) {
      const key = (code << 8) | plain[i]!;
      let at = ((key >>> 12) ^ key) & tableMask;
      let entry = table[at]!;
      while (entry !== 0 && entry >>> 12 !== key) {
        at = (at + 1) & tableMask;
        entry = table[at]!;
      }
      if (entry !== 0) {
        code = entry & codeMax;
        continue;
      }
      const hasRoom = put(code);
      code = plain[i]!;
      if (hasRoom) table[at] = (key << 12) | highest;
    }
    put(code);
  }
  out.put(end, width);
  return out.finish();
}

/** The strings behind the codes: each is another code's string and one more byte. */
class Strings {
  readonly prefix = new Uint16Array(codeMax + 1);
  readonly suffix = new Uint8Array(codeMax + 1);
  readonly lengths = new Uint16Array(codeMax + 1).fill(1);

  set(code: number, prefix: number, suffix: number): void {
    this.prefix[code] = prefix;
    this.suffix[code] = suffix;
    this.lengths[code] = this.lengths[prefix]! + 1;
  }

  /** Writes the code's string so that it ends before `endAt`; returns its first byte. */
  write(code: number, out: Uint8Array, endAt: number): number {
    let at = endAt;
    let walk = code;
    while (walk > end) {
      out[--at] = this.suffix[walk]!;
      walk = this.prefix[walk]!;
    }
    out[--at] = walk;
    return walk;
  }
}

/** Refuses to make more than `bytesMax`: a small packet can claim thousands of times its size. */
export function inflate(packed: Uint8Array, bytesMax: number): Uint8Array {
  const strings = new Strings();
  let out = new Uint8Array(Math.min(bytesMax, packed.length * 4 + 256));
  let length = 0;
  let width = 9;
  let highest = end;
  let last = none;
  let bits = 0;
  let count = 0;
  let at = 0;
  while (true) {
    while (count < width) {
      if (at >= packed.length) throw new WireError("compressed bytes end without an end code");
      bits |= packed[at++]! << count;
      count += 8;
    }
    const code = bits & ((1 << width) - 1);
    bits >>>= width;
    count -= width;
    if (code === end) return out.slice(0, length);
    if (code === clear) {
      width = 9;
      highest = end;
      last = none;
      continue;
    }
    if (code > highest) throw new WireError(`compressed bytes hold the unknown code ${code}`);
    // The code in the making: the last string and its own first byte. In a full table it is known.
    const isMaking = code === highest && last !== none;
    const grownTo = length + (isMaking ? strings.lengths[last]! + 1 : strings.lengths[code]!);
    if (grownTo > bytesMax) throw new WireError(`compressed bytes grow beyond ${bytesMax}`);
    if (grownTo > out.length) {
      const grown = new Uint8Array(Math.min(bytesMax, grownTo * 2));
      grown.set(out.subarray(0, length));
      out = grown;
    }
    const first = isMaking
      ? strings.write(last, out, grownTo - 1)
      : strings.write(code, out, grownTo);
    if (isMaking) out[grownTo - 1] = first;
    length = grownTo;
    if (last !== none) strings.set(highest, last, first);
    last = code;
    highest++;
    if (highest < 1 << width) continue;
    if (width < widthMax) width++;
    else {
      last = none;
      highest--;
    }
  }
}
