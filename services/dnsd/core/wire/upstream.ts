// Messages to and from recursors: a question of our own, and the records of a reply.

import { type ResourceRecord, typeCodes } from "../records/records.ts";
import { headerBytes, readName, uint16 } from "./query.ts";
import { MessageWriter } from "./writer.ts";

/** A question that wants recursion; undefined when the name has no wire form. */
export function encodeQuestion(id: number, name: string, type: number): Uint8Array | undefined {
  const bytes = new Uint8Array(headerBytes + 260);
  const writer = new MessageWriter(bytes, undefined);
  writer.uint16(id);
  writer.uint16(0x0100);
  for (const count of [1, 0, 0, 0]) writer.uint16(count);
  writer.name(name, false);
  writer.uint16(type);
  writer.uint16(1);
  return writer.isBroken ? undefined : bytes.subarray(0, writer.at);
}

/** Whether the message is a reply to this question: same id, same name in whatever letter case. */
export function isReplyTo(reply: Uint8Array, question: Uint8Array): boolean {
  if (reply.length < headerBytes || (reply[2]! & 0x80) === 0) return false;
  if (reply[0] !== question[0] || reply[1] !== question[1]) return false;
  // Some servers send errors as a bare header.
  if (uint16(reply, 4) === 0) return true;
  const asked = readName(question, headerBytes);
  const told = readName(reply, headerBytes);
  if (asked === undefined || told === undefined) return false;
  if (asked.text.toLowerCase() !== told.text.toLowerCase()) return false;
  return uint16(reply, told.end) === uint16(question, asked.end);
}

export function replyRcode(reply: Uint8Array): number {
  return reply[3]! & 15;
}

/** The answer section, as far as it can be read. */
export function decodeAnswers(reply: Uint8Array): ResourceRecord[] {
  const records: ResourceRecord[] = [];
  let at = headerBytes;
  for (let i = uint16(reply, 4); i > 0; i--) {
    const name = readName(reply, at);
    if (name === undefined) return records;
    at = name.end + 4;
  }
  for (let i = uint16(reply, 6); i > 0; i--) {
    const name = readName(reply, at);
    if (name === undefined || name.end + 10 > reply.length) return records;
    const body = name.end + 10;
    at = body + uint16(reply, name.end + 8);
    if (at > reply.length) return records;
    const code = uint16(reply, name.end);
    const head = { owner: name.text, ttlSeconds: uint32(reply, name.end + 4) };
    const record = decodeContent(reply, code, body, at, head);
    if (record === undefined) continue;
    records.push(
      record === "foreign"
        ? {
          kind: "foreign",
          ...head,
          code,
          class: uint16(reply, name.end + 2),
          bytes: reply.slice(body, at),
        }
        : record,
    );
  }
  return records;
}

/** Types whose content holds compressed names that we do not unpack: they are left out. */
const packedTypes = new Set<number>([typeCodes.SOA, typeCodes.MX, typeCodes.SRV]);

function decodeContent(
  reply: Uint8Array,
  code: number,
  start: number,
  end: number,
  head: { owner: string; ttlSeconds: number },
): ResourceRecord | "foreign" | undefined {
  switch (code) {
    case typeCodes.A:
    case typeCodes.AAAA: {
      const bytes = reply.slice(start, end);
      if (bytes.length !== (code === typeCodes.A ? 4 : 16)) return undefined;
      return { kind: code === typeCodes.A ? "A" : "AAAA", ...head, bytes };
    }
    case typeCodes.CNAME:
    case typeCodes.NS:
    case typeCodes.PTR: {
      const target = readName(reply, start);
      if (target === undefined) return undefined;
      const kind = code === typeCodes.CNAME ? "CNAME" : code === typeCodes.NS ? "NS" : "PTR";
      return { kind, ...head, target: target.text };
    }
    default:
      return packedTypes.has(code) ? undefined : "foreign";
  }
}

function uint32(bytes: Uint8Array, at: number): number {
  return uint16(bytes, at) * 0x10000 + uint16(bytes, at + 2);
}
