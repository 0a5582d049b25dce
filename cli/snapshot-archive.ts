// Reads a snapshot archive (gzip of a tar of meta.json, state.bin and SHA256SUMS) far enough to
// verify it and to count its records by type.

import { createHash } from "node:crypto";
import { gunzipSync } from "node:zlib";

export class ArchiveError extends Error {
  override name = "ArchiveError";
}

export interface ArchiveMeta {
  Version: number;
  ID: string;
  Index: number;
  Term: number;
  Size: number;
}

export interface RecordCount {
  Name: string;
  Sum: number;
  Count: number;
}

export interface ArchiveStats {
  meta: ArchiveMeta;
  records: RecordCount[];
  keys: RecordCount[];
  totalBytes: number;
  keyBytes: number;
}

export interface KeyGrouping {
  /** How many segments of a key's path make its group. */
  depth: number;
  /** Only keys that begin so. */
  filter: string;
}

/** Record types by number; the gaps never stand in snapshots. */
const typeNames: Record<number, string> = {
  0: "Register",
  1: "Deregister",
  2: "KVS",
  3: "Session",
  4: "ACL (Deprecated)",
  5: "Tombstone",
  6: "CoordinateBatchUpdate",
  7: "PreparedQuery",
  8: "Txn",
  9: "Autopilot",
  10: "Area",
  11: "ACLBootstrap",
  12: "Intention",
  13: "ConnectCA",
  14: "ConnectCAProviderState",
  15: "ConnectCAConfig",
  16: "Index",
  17: "ACLToken",
  18: "ACLTokenDelete",
  19: "ACLPolicy",
  20: "ACLPolicyDelete",
  21: "ConnectCALeaf",
  22: "ConfigEntry",
  23: "ACLRole",
  24: "ACLRoleDelete",
  25: "ACLBindingRule",
  26: "ACLBindingRuleDelete",
  27: "ACLAuthMethod",
  28: "ACLAuthMethodDelete",
  29: "ChunkingState",
  30: "FederationState",
  31: "SystemMetadata",
  32: "ServiceVirtualIP",
  33: "FreeVirtualIP",
  34: "KindServiceNames",
  35: "Peering",
  36: "PeeringDelete",
  37: "PeeringTerminateByID",
  38: "PeeringTrustBundle",
  39: "PeeringTrustBundleDelete",
  40: "PeeringSecret",
  41: "RaftLogVerifierCheckpoint",
  42: "Resource",
  43: "UpdateVirtualIP",
};
const keyValueType = 2;
const tarBlockBytes = 512;

/** Decompresses and checks every hash. Throws ArchiveError. */
export function readArchive(bytes: Uint8Array): { meta: ArchiveMeta; state: Uint8Array } {
  let tar: Uint8Array;
  try {
    tar = gunzipSync(bytes);
  } catch (error) {
    const isHeader = bytes[0] !== 0x1f || bytes[1] !== 0x8b;
    const cause = isHeader ? "gzip: invalid header" : (error as Error).message;
    throw new ArchiveError(`failed to decompress snapshot: ${cause}`);
  }
  const members = new Map<string, Uint8Array>();
  for (const { name, content } of tarMembers(tar)) {
    if (!["meta.json", "state.bin", "SHA256SUMS"].includes(name)) {
      throw new ArchiveError(`unexpected file ${JSON.stringify(name)} in snapshot`);
    }
    members.set(name, content);
  }
  const sums = members.get("SHA256SUMS");
  const listed = new Map(
    new TextDecoder().decode(sums ?? new Uint8Array()).split("\n").map((line) =>
      [line.slice(66), line.slice(0, 64)] as const
    ),
  );
  for (const name of ["meta.json", "state.bin"]) {
    const content = members.get(name);
    const sum = listed.get(name);
    if (content === undefined || sum === undefined) {
      throw new ArchiveError(`failed checking integrity of snapshot: file missing for ${name}`);
    }
    if (createHash("sha256").update(content).digest("hex") !== sum) {
      throw new ArchiveError(
        `failed checking integrity of snapshot: hash check failed for ${JSON.stringify(name)}`,
      );
    }
  }
  const meta = JSON.parse(new TextDecoder().decode(members.get("meta.json"))) as ArchiveMeta;
  return { meta, state: members.get("state.bin")! };
}

function* tarMembers(tar: Uint8Array): Generator<{ name: string; content: Uint8Array }> {
  const text = (start: number, length: number) =>
    new TextDecoder().decode(tar.subarray(start, start + length)).replace(/\0[\s\S]*$/, "");
  for (let at = 0; at + tarBlockBytes <= tar.length;) {
    const name = text(at, 100);
    if (name === "") return;
    const size = parseInt(text(at + 124, 12).trim(), 8);
    const start = at + tarBlockBytes;
    if (!Number.isSafeInteger(size) || start + size > tar.length) {
      throw new ArchiveError("failed to read snapshot: unexpected EOF");
    }
    yield { name, content: tar.subarray(start, start + size) };
    at = start + Math.ceil(size / tarBlockBytes) * tarBlockBytes;
  }
}

/** Counts records and their bytes, largest first. The header counts with the first record. */
export function countRecords(bytes: Uint8Array, grouping: KeyGrouping): ArchiveStats {
  const { meta, state } = readArchive(bytes);
  const records = new Map<string, RecordCount>();
  const keys = new Map<string, RecordCount>();
  let keyBytes = 0;
  let recordStart = 0;
  let at = skipValue(state, 0);
  while (at < state.length) {
    const type = state[at]!;
    const end = skipValue(state, at + 1);
    const size = end - recordStart;
    add(records, typeNames[type] ?? `Unknown(${type})`, size);
    if (type === keyValueType) {
      const key = keyOf(state, at + 1);
      if (key.startsWith(grouping.filter)) {
        add(keys, key.split("/").slice(0, grouping.depth).join("/"), size);
        keyBytes += size;
      }
    }
    recordStart = at = end;
  }
  return {
    meta,
    records: largestFirst(records),
    keys: largestFirst(keys),
    totalBytes: state.length,
    keyBytes,
  };
}

function add(counts: Map<string, RecordCount>, name: string, size: number): void {
  const count = counts.get(name) ?? { Name: name, Sum: 0, Count: 0 };
  count.Sum += size;
  count.Count++;
  counts.set(name, count);
}

function largestFirst(counts: Map<string, RecordCount>): RecordCount[] {
  return [...counts.values()].sort((a, b) => b.Sum - a.Sum || (a.Name < b.Name ? -1 : 1));
}

/** The member `Key` of the map that begins here. */
function keyOf(state: Uint8Array, start: number): string {
  const { count, next } = header(state, start);
  let at = next;
  for (let i = 0; i < count; i += 2) {
    const name = header(state, at);
    const nameEnd = name.next + name.bytes;
    const isKey = new TextDecoder().decode(state.subarray(name.next, nameEnd)) === "Key";
    const value = header(state, nameEnd);
    if (isKey) {
      return new TextDecoder().decode(state.subarray(value.next, value.next + value.bytes));
    }
    at = skipValue(state, nameEnd);
  }
  return "";
}

/** The offset after one MessagePack value; nested values are counted, not recursed into. */
function skipValue(state: Uint8Array, start: number): number {
  let at = start;
  for (let left = 1; left > 0; left--) {
    const { count, bytes, next } = header(state, at);
    left += count;
    at = next + bytes;
    if (at > state.length) throw new ArchiveError("failed to decode snapshot: unexpected EOF");
  }
  return at;
}

/** How many values (`count`) or raw bytes follow the head of a MessagePack value. */
function header(state: Uint8Array, at: number): { count: number; bytes: number; next: number } {
  const tag = state[at];
  if (tag === undefined) throw new ArchiveError("failed to decode snapshot: unexpected EOF");
  const view = new DataView(state.buffer, state.byteOffset, state.byteLength);
  const plain = (bytes: number) => ({ count: 0, bytes, next: at + 1 });
  const sized = (width: number) => {
    if (at + 1 + width > state.length) throw new ArchiveError("failed to decode snapshot: EOF");
    const size = width === 1
      ? view.getUint8(at + 1)
      : width === 2
      ? view.getUint16(at + 1)
      : view.getUint32(at + 1);
    return { size, next: at + 1 + width };
  };
  const raw = (width: number, extra = 0) => {
    const { size, next } = sized(width);
    return { count: 0, bytes: size + extra, next };
  };
  const nested = (width: number, factor: number) => {
    const { size, next } = sized(width);
    return { count: size * factor, bytes: 0, next };
  };
  if (tag < 0x80 || tag >= 0xe0) return plain(0);
  if (tag < 0x90) return { count: (tag & 15) * 2, bytes: 0, next: at + 1 };
  if (tag < 0xa0) return { count: tag & 15, bytes: 0, next: at + 1 };
  if (tag < 0xc0) return plain(tag & 31);
  if (tag === 0xc0 || tag === 0xc2 || tag === 0xc3) return plain(0);
  if (tag >= 0xc4 && tag <= 0xc6) return raw(1 << (tag - 0xc4));
  if (tag >= 0xc7 && tag <= 0xc9) return raw(1 << (tag - 0xc7), 1);
  if (tag === 0xca) return plain(4);
  if (tag === 0xcb) return plain(8);
  if (tag >= 0xcc && tag <= 0xcf) return plain(1 << (tag - 0xcc));
  if (tag >= 0xd0 && tag <= 0xd3) return plain(1 << (tag - 0xd0));
  if (tag >= 0xd4 && tag <= 0xd8) return plain((1 << (tag - 0xd4)) + 1);
  if (tag >= 0xd9 && tag <= 0xdb) return raw(1 << (tag - 0xd9));
  if (tag === 0xdc || tag === 0xdd) return nested(tag === 0xdc ? 2 : 4, 1);
  if (tag === 0xde || tag === 0xdf) return nested(tag === 0xde ? 2 : 4, 2);
  throw new ArchiveError(`failed to decode snapshot: unexpected byte 0x${tag.toString(16)}`);
}
