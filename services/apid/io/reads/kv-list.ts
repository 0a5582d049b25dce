// Listings of KV entries: each entry is JSON as soon as it is decoded, since hundreds of thousands
// of them as objects would be most of the daemon's memory.

import { type Codec, KvEntry, ReadReply } from "#proto/messages.js";
import { State } from "#proto/services.ts";
import type { Method } from "#shared/bus/types.ts";
import protobuf from "protobufjs/minimal.js";
import { quoteJson } from "../../core/json-writer.ts";
import { writeKvEntry } from "../../core/render/rows.ts";

/** A reply whose entries are JSON: `kv` is empty. */
export interface KvListReply extends ReadReply {
  entryCount: number;
  /** A JSON list of the entries. */
  entriesJson: Buffer;
}

/** The tag of `kv` in ReadReply. */
const entryTag = 26;
/** Those of KvEntry. */
const fieldTags = {
  key: 10,
  value: 18,
  flags: 26,
  session: 34,
  lockIndex: 40,
  createIndex: 48,
  modifyIndex: 56,
} as const;

const codec: Pick<Codec<KvListReply, unknown>, "decode"> = {
  decode(source, length) {
    const reader = source instanceof protobuf.Reader ? source : protobuf.Reader.create(source);
    const end = length === undefined ? reader.len : reader.pos + length;
    const list = new ListText();
    const { buffer, byteOffset, length: bytes } = reader.buf;
    const entries = new EntryText(Buffer.from(buffer, byteOffset, bytes));
    const rest: Uint8Array[] = [];
    while (reader.pos < end) {
      const start = reader.pos;
      const tag = reader.tag();
      if (tag === entryTag) {
        const entryEnd = reader.uint32() + reader.pos;
        if (entryEnd > end) throw new RangeError("an entry beyond the end of the list");
        list.add(entries.textOf(reader.pos, entryEnd));
        reader.pos = entryEnd;
      } else {
        reader.skipType(tag & 7);
        rest.push(reader.buf.subarray(start, reader.pos));
      }
    }
    const reply = ReadReply.decode(rest.length === 1 ? rest[0]! : Buffer.concat(rest));
    return Object.assign(reply, { entryCount: list.count, entriesJson: list.end() });
  },
};

/** State.Read for a query whose answer is a list of KV entries. */
export const readKvList: Method = {
  ...State.methods.read,
  response: { ...ReadReply, ...codec } as unknown as Codec<unknown, unknown>,
};

export function isKvList(reply: ReadReply): reply is KvListReply {
  return "entriesJson" in reply;
}

/** One entry from its bytes to JSON, with no object in between. */
class EntryText {
  readonly #bytes: Buffer;
  #at = 0;

  constructor(bytes: Buffer) {
    this.#bytes = bytes;
  }

  textOf(start: number, end: number): string {
    let key = '""', value = "null", flags = "0", session = "";
    let lockIndex = 0, createIndex = 0, modifyIndex = 0;
    this.#at = start;
    while (this.#at < end) {
      const tag = this.#bytes[this.#at++]!;
      const number = this.#varint(end);
      switch (tag) {
        case fieldTags.key:
          key = quoteJson(this.#text("utf8", number, end));
          break;
        case fieldTags.value:
          if (number > 0) value = `"${this.#text("base64", number, end)}"`;
          break;
        case fieldTags.flags:
          if (number === 8) flags = this.#bytes.readBigUInt64BE(this.#at).toString();
          this.#at += number;
          break;
        case fieldTags.session:
          if (number > 0) session = `,"Session":${quoteJson(this.#text("utf8", number, end))}`;
          break;
        case fieldTags.lockIndex:
          lockIndex = number;
          break;
        case fieldTags.createIndex:
          createIndex = number;
          break;
        case fieldTags.modifyIndex:
          modifyIndex = number;
          break;
        default:
          // A field of a later release.
          return writeKvEntry(KvEntry.decode(this.#bytes.subarray(start, end)));
      }
    }
    if (this.#at !== end) throw new RangeError("an entry that ends in a field");
    return `{"LockIndex":${lockIndex},"Key":${key},"Flags":${flags},"Value":${value}${session}` +
      `,"CreateIndex":${createIndex},"ModifyIndex":${modifyIndex}}`;
  }

  #text(encoding: "utf8" | "base64", length: number, end: number): string {
    const from = this.#at;
    this.#at += length;
    if (this.#at > end) throw new RangeError("a field beyond the end of its entry");
    return this.#bytes.toString(encoding, from, this.#at);
  }

  #varint(end: number): number {
    let value = 0, factor = 1;
    while (this.#at < end) {
      const byte = this.#bytes[this.#at++]!;
      value += (byte & 127) * factor;
      if (byte < 128) return value;
      factor *= 128;
    }
    throw new RangeError("a number beyond the end of its entry");
  }
}

/** Text that becomes bytes in pieces: as one string it would be there twice. */
class ListText {
  readonly #pieces: Buffer[] = [];
  #text = "[";
  count = 0;

  add(text: string): void {
    this.#text += this.count++ === 0 ? text : `,${text}`;
    if (this.#text.length < pieceLength) return;
    this.#pieces.push(Buffer.from(this.#text));
    this.#text = "";
  }

  end(): Buffer {
    this.#pieces.push(Buffer.from(`${this.#text}]`));
    return this.#pieces.length === 1 ? this.#pieces[0]! : Buffer.concat(this.#pieces);
  }
}

const pieceLength = 1 << 16;
