// Writes a DNS message into a buffer, with name compression (RFC 1035 §4.1.4). The same walk only
// counts bytes when there is no buffer, so size and content cannot differ.

import { labelBytesMax, nameBytesMax, unescapeText } from "../domain-name.ts";

/** Pointers reach no further. */
export const pointerOffsetMax = 0x3fff;

export class MessageWriter {
  readonly #bytes: Uint8Array | undefined;
  /** Name → offset of its first occurrence; undefined = no compression. Letter case counts. */
  readonly #names: Map<string, number> | undefined;
  /** Called for each pointer written: where it stands and what it points to. */
  onPointer: ((at: number, target: number) => void) | undefined;
  at: number;
  /** Something that has no wire form was to be written: the message is void. */
  isBroken = false;

  constructor(
    bytes: Uint8Array | undefined,
    names: Map<string, number> | undefined,
    start = 0,
  ) {
    this.#bytes = bytes;
    this.#names = names;
    this.at = start;
  }

  uint8(value: number): void {
    if (this.#bytes !== undefined) this.#bytes[this.at] = value;
    this.at += 1;
  }

  uint16(value: number): void {
    this.uint8(value >>> 8);
    this.uint8(value);
  }

  uint32(value: number): void {
    this.uint16(value >>> 16);
    this.uint16(value & 0xffff);
  }

  raw(bytes: Uint8Array): void {
    const end = this.at + bytes.length;
    if (this.#bytes !== undefined) {
      if (end > this.#bytes.length) this.isBroken = true;
      else this.#bytes.set(bytes, this.at);
    }
    this.at = end;
  }

  /** A character string (RFC 1035 §3.3). */
  text(bytes: Uint8Array): void {
    if (bytes.length > 255) this.isBroken = true;
    this.uint8(bytes.length);
    this.raw(bytes);
  }

  /** A target that may not be compressed (SRV, RFC 2782) can still be pointed to. */
  name(name: string, mayCompress: boolean): void {
    const start = this.at;
    let rest = name;
    while (rest !== "." && rest !== "") {
      if (this.#names !== undefined) {
        const known = this.#names.get(rest);
        if (known !== undefined && mayCompress) {
          this.onPointer?.(this.at, known);
          this.uint16(0xc000 | known);
          return;
        }
        if (known === undefined && this.at <= pointerOffsetMax) this.#names.set(rest, this.at);
      }
      rest = this.#label(rest);
    }
    this.uint8(0);
    if (this.at - start > nameBytesMax) this.isBroken = true;
  }

  /** Writes the first label and returns the rest of the name. */
  #label(name: string): string {
    const start = this.at + 1;
    let length = 0;
    for (; length < name.length; length++) {
      const code = name.charCodeAt(length);
      if (code === dot) break;
      if (code === backslash || code > 0x7e) return this.#oddLabel(name);
      if (this.#bytes !== undefined) this.#bytes[start + length] = code;
    }
    this.#endLabel(length);
    return length === name.length ? "." : name.slice(length + 1);
  }

  /** One with escapes or other bytes than letters have. */
  #oddLabel(name: string): string {
    const end = labelEnd(name);
    const bytes = unescapeText(end < 0 ? name : name.slice(0, end));
    if (this.#bytes !== undefined && this.at + 1 + bytes.length <= this.#bytes.length) {
      this.#bytes.set(bytes, this.at + 1);
    }
    this.#endLabel(bytes.length);
    return end < 0 ? "." : name.slice(end + 1);
  }

  #endLabel(length: number): void {
    if (length === 0 || length > labelBytesMax) this.isBroken = true;
    this.uint8(length);
    this.at += length;
  }

  /** Writes a length before what the work writes. */
  sized(work: () => void): void {
    const start = this.at;
    this.at += 2;
    work();
    const end = this.at;
    this.at = start;
    this.uint16(end - start - 2);
    this.at = end;
  }
}

const dot = 0x2e;
const backslash = 0x5c;

function labelEnd(name: string): number {
  for (let i = 0; i < name.length; i++) {
    if (name[i] === "\\") i++;
    else if (name[i] === ".") return i;
  }
  return -1;
}
