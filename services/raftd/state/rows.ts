// Rows of the catalog as bytes: equal rows have equal bytes, so "did it change" is one comparison.

import { Check, Coordinate, Node, Service, Session } from "#proto/messages.js";
import { hashTables, rowHash } from "./hash.ts";

const encoder = new TextEncoder();

interface Indexed {
  createIndex: number;
  modifyIndex: number;
}

interface Decoder<Message> {
  decode(bytes: Uint8Array): Message;
}

export const nodeBody = (node: Node): Uint8Array =>
  Node.encode({
    ...node,
    taggedAddresses: sorted(node.taggedAddresses),
    meta: sorted(node.meta),
    createIndex: 0,
    modifyIndex: 0,
  }).finish();

export const serviceBody = (service: Service): Uint8Array =>
  Service.encode({
    ...service,
    taggedAddresses: sorted(service.taggedAddresses),
    meta: sorted(service.meta),
    createIndex: 0,
    modifyIndex: 0,
  }).finish();

export const checkBody = (check: Check): Uint8Array =>
  Check.encode({ ...check, createIndex: 0, modifyIndex: 0 }).finish();

export const sessionBody = (session: Session): Uint8Array =>
  Session.encode({ ...session, createIndex: 0, modifyIndex: 0 }).finish();

export const coordinateBody = (coordinate: Coordinate): Uint8Array =>
  Coordinate.encode(coordinate).finish();

export function readRow<Message extends Indexed>(
  codec: Decoder<Message>,
  body: Uint8Array,
  createIndex: number,
  modifyIndex: number,
): Message {
  const message = codec.decode(body);
  message.createIndex = createIndex;
  message.modifyIndex = modifyIndex;
  return message;
}

export function bodyHash(
  table: keyof typeof hashTables,
  key: string,
  body: Uint8Array,
  createIndex: number,
  modifyIndex: number,
): number {
  return rowHash(hashTables[table], encoder.encode(key), body, createIndex, modifyIndex);
}

/** Whether the metadata has all pairs that a query asks for. */
export function hasMeta(meta: Record<string, string>, wanted: Record<string, string>): boolean {
  for (const key in wanted) {
    if (meta[key] !== wanted[key]) return false;
  }
  return true;
}

function sorted<Value>(map: Record<string, Value>): Record<string, Value> {
  const keys = Object.keys(map);
  if (keys.length < 2) return map;
  const result: Record<string, Value> = Object.create(null);
  for (const key of keys.sort()) result[key] = map[key]!;
  return result;
}
