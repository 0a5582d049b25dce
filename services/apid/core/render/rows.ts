// Key/value entries, sessions, coordinates, events, members as Consul's JSON shows them.

import type { Coordinate, KvEntry, Member, Session, UserEvent } from "#proto/messages.js";
import { formatDuration } from "#shared/consul/duration.ts";
import { type Json, type JsonFields, mapOf, quoteJson, Raw } from "../json-writer.ts";

/** Bytes as Go shows a byte slice: base64, null when empty. */
export function base64OrNull(bytes: Uint8Array): Json {
  if (bytes.length === 0) return null;
  // Base64 needs no escaping, and values are the bulk of a listing.
  return new Raw(
    `"${Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString("base64")}"`,
  );
}

export function flagsText(flags: Uint8Array): string {
  if (flags.length !== 8) return "0";
  const view = new DataView(flags.buffer, flags.byteOffset, 8);
  return view.getBigUint64(0).toString();
}

export function flagsBytes(flags: bigint): Uint8Array {
  const bytes = new Uint8Array(8);
  new DataView(bytes.buffer).setBigUint64(0, flags);
  return bytes;
}

export function keyText(key: Uint8Array): string {
  return Buffer.from(key.buffer, key.byteOffset, key.length).toString("utf8");
}

/** One entry, written straight: listings have hundreds of thousands. */
export function writeKvEntry(entry: KvEntry): string {
  const value = entry.value.length === 0
    ? "null"
    : `"${
      Buffer.from(entry.value.buffer, entry.value.byteOffset, entry.value.length).toString("base64")
    }"`;
  const session = entry.session === "" ? "" : `,"Session":${quoteJson(entry.session)}`;
  return `{"LockIndex":${entry.lockIndex},"Key":${quoteJson(keyText(entry.key))},"Flags":${
    flagsText(entry.flags)
  },"Value":${value}${session},"CreateIndex":${entry.createIndex},"ModifyIndex":${entry.modifyIndex}}`;
}

export function renderSession(session: Session): JsonFields {
  return {
    ID: session.id,
    Name: session.name,
    Node: session.node,
    LockDelay: new Raw(session.lockDelayNs === "" ? "0" : session.lockDelayNs),
    Behavior: session.behavior,
    TTL: session.ttl,
    NodeChecks: session.nodeChecks,
    ServiceChecks: session.serviceChecks.length === 0
      ? null
      : session.serviceChecks.map((check) => ({ ID: check.id, Namespace: check.namespace })),
    Checks: session.checks.length === 0 ? undefined : session.checks,
    CreateIndex: session.createIndex,
    ModifyIndex: session.modifyIndex,
  };
}

export function renderCoordinate(coordinate: Coordinate): JsonFields {
  return {
    Node: coordinate.node,
    Segment: coordinate.segment,
    Coord: renderVector(coordinate),
  };
}

export function renderVector(coordinate: Coordinate): JsonFields {
  return {
    Vec: coordinate.vec,
    Error: coordinate.error,
    Adjustment: coordinate.adjustment,
    Height: coordinate.height,
  };
}

export function renderEvent(event: UserEvent): JsonFields {
  return {
    ID: event.id,
    Name: event.name,
    Payload: base64OrNull(event.payload),
    NodeFilter: event.nodeFilter,
    ServiceFilter: event.serviceFilter,
    TagFilter: event.tagFilter,
    Version: event.version,
    LTime: event.ltime,
  };
}

/** The two halves of the UUID, exclusive-or: what an event list uses as its index. */
export function eventIndex(id: string): bigint {
  const hex = id.replaceAll("-", "");
  if (!/^[0-9a-f]{32}$/i.test(hex)) return 1n;
  return BigInt(`0x${hex.slice(0, 16)}`) ^ BigInt(`0x${hex.slice(16)}`);
}

export function renderMember(member: Member): JsonFields {
  return {
    Name: member.name,
    Addr: member.address,
    Port: member.port,
    Tags: mapOf(member.tags),
    Status: member.status,
    ProtocolMin: member.protocolMin,
    ProtocolMax: member.protocolMax,
    ProtocolCur: member.protocolCur,
    DelegateMin: member.delegateMin,
    DelegateMax: member.delegateMax,
    DelegateCur: member.delegateCur,
  };
}

export function goDuration(ns: number | bigint): string {
  return formatDuration(BigInt(ns));
}
