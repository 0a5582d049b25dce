// Entries as bytes: one form for log.db, for the wire and between raftd's threads (raft.proto).

import { RaftEntry, RaftRecords } from "#proto/messages.js";
import type { Entry, EntryKind } from "../core/raft/messages.ts";

const kinds: readonly EntryKind[] = ["command", "no-op", "configuration", "barrier"];
const kindNumbers = new Map(kinds.map((kind, number) => [kind, number]));

// An entry is written to disk, to each peer and to the state: encode it once.
const records = new WeakMap<Entry, Uint8Array>();

export function encodeEntry(entry: Entry): Uint8Array {
  let record = records.get(entry);
  if (record === undefined) {
    record = RaftEntry.encode({ ...entry, kind: kindNumbers.get(entry.kind)! }).finish();
    records.set(entry, record);
  }
  return record;
}

/** The entry of a record; its bytes are a view of the source. Throws on garbage. */
export function decodeEntry(record: Uint8Array): Entry {
  const { index, term, kind, stampMs, origin, id, bytes } = RaftEntry.decode(record);
  const name = kinds[kind];
  if (name === undefined) {
    throw new Error(
      `Expected an entry kind from 0 to ${kinds.length - 1} at index ${index} but found ${kind}: ` +
        "the log was written by a newer release",
    );
  }
  return { index, term, kind: name, stampMs, origin, id, bytes };
}

/** As decodeEntry, for entries that will be written or sent on: their encoded form is kept. */
export function adoptEntry(record: Uint8Array): Entry {
  const entry = decodeEntry(record);
  records.set(entry, record);
  return entry;
}

/** Several entries in a buffer of their own, which may be transferred to another thread. */
export function packEntries(entries: readonly Entry[]): Uint8Array<ArrayBuffer> {
  return packRecords(entries.map(encodeEntry));
}

export function packRecords(packed: Uint8Array[]): Uint8Array<ArrayBuffer> {
  return ownBuffer(RaftRecords.encode({ records: packed }).finish());
}

export function unpackEntries(packed: Uint8Array): Entry[] {
  return RaftRecords.decode(packed).records.map(decodeEntry);
}

/** As unpackEntries, keeping each entry's encoded form. */
export function adoptEntries(packed: Uint8Array): Entry[] {
  return RaftRecords.decode(packed).records.map(adoptEntry);
}

/** The bytes in a buffer that holds nothing else, so that a transfer takes no one else's bytes. */
export function ownBuffer(bytes: Uint8Array): Uint8Array<ArrayBuffer> {
  const isAlone = bytes.byteOffset === 0 && bytes.byteLength === bytes.buffer.byteLength;
  // A Buffer's own slice would be a view of the same memory.
  return (isAlone ? bytes : new Uint8Array(bytes)) as Uint8Array<ArrayBuffer>;
}
