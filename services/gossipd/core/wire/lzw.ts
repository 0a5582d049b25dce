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

export function deflate(plain: Uint8Array): Uint8Array {
  const out = new BitWriter();
  // Key: code of the string so far and the next byte; value: the code of both together.
  let codes = new Map<number, number>();
  let width = 9;
  let highest = end;
  const put = (code: number) => {
    out.put(code, width);
    highest++;
    if (highest === 1 << width) width++;
    if (highest !== codeMax) return true;
    out.put(clear, width);
    codes = new Map();
    width = 9;
    highest = end;
    return false;
  };
  out.put(clear, width);
  if (plain.length > 0) {
    let code = plain[0]!;
    for (let i = 1; i < plain.length; i++) {
      const key = (code << 8) | plain[i]!;
      const known = codes.get(key);
      if (known !== undefined) {
        code = known;
        continue;
      }
      const room = put(code);
      code = plain[i]!;
      if (room) codes.set(key, highest);
    }
    put(code);
  }
  out.put(end, width);
  return out.finish();
}

/** Refuses to make more than `bytesMax`: a small packet can claim thousands of times its size. */
export function inflate(packed: Uint8Array, bytesMax: number): Uint8Array {
  const prefix = new Uint16Array(codeMax + 1);
  const suffix = new Uint8Array(codeMax + 1);
  let out = new Uint8Array(Math.min(bytesMax, packed.length * 4 + 256));
  let length = 0;
  let width = 9;
  let highest = end;
  let last = none;
  let bits = 0;
  let count = 0;
  let at = 0;
  const scratch = new Uint8Array(codeMax + 2);
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
    if (code > highest) {
      throw new WireError(`compressed bytes hold the unknown code ${code}`);
    }
    // Walk the chain from its last byte to its first, filling the scratch from its end.
    let start = scratch.length;
    let walk = code;
    // The code in the making: the last string and its own first byte. In a full table it is known.
    const making = code === highest && last !== none;
    if (making) {
      start--;
      walk = last;
    }
    while (walk > end) {
      scratch[--start] = suffix[walk]!;
      walk = prefix[walk]!;
    }
    scratch[--start] = walk;
    if (making) scratch[scratch.length - 1] = walk;
    const string = scratch.subarray(start);
    if (length + string.length > bytesMax) {
      throw new WireError(`compressed bytes grow beyond ${bytesMax}`);
    }
    if (length + string.length > out.length) {
      const grown = new Uint8Array(Math.min(bytesMax, (length + string.length) * 2));
      grown.set(out.subarray(0, length));
      out = grown;
    }
    out.set(string, length);
    length += string.length;
    if (last !== none) {
      suffix[highest] = walk;
      prefix[highest] = last;
    }
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
