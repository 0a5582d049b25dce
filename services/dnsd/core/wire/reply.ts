// A reply → bytes, or only their number.

import type { Query, Reply, ReplyEdns } from "../message.ts";
import { type ResourceRecord, typeCodes } from "../records/records.ts";
import { headerBytes } from "./query.ts";
import { MessageWriter } from "./writer.ts";

export interface ReplyForm {
  compresses: boolean;
  recursionAvailable: boolean;
}

/** How many bytes were written; undefined when the reply has no wire form. */
export function encodeReply(
  query: Query,
  reply: Reply,
  form: ReplyForm,
  out: Uint8Array,
): number | undefined {
  const writer = new MessageWriter(out, form.compresses ? new Map() : undefined);
  writeHeader(writer, query, reply, form.recursionAvailable);
  writeBody(writer, query, reply);
  return writer.isBroken || writer.at > out.length ? undefined : writer.at;
}

export function replySize(query: Query, reply: Reply, compresses: boolean): number {
  const writer = new MessageWriter(undefined, compresses ? new Map() : undefined, headerBytes);
  writeBody(writer, query, reply);
  return writer.at;
}

export function writeHeader(
  writer: MessageWriter,
  query: Query,
  reply: Reply,
  recursionAvailable: boolean,
): void {
  writer.uint16(query.id);
  writer.uint8(
    0x80 | (query.opcode << 3) | (reply.authoritative ? 0x04 : 0) |
      (reply.truncated ? 0x02 : 0) | (query.recursionDesired ? 0x01 : 0),
  );
  writer.uint8(
    (recursionAvailable ? 0x80 : 0) | (query.checkingDisabled ? 0x10 : 0) | reply.rcode,
  );
  writer.uint16(query.question === undefined ? 0 : 1);
  writer.uint16(reply.answer.length);
  writer.uint16(reply.authority.length);
  writer.uint16(reply.additional.length + (reply.edns === undefined ? 0 : 1));
}

function writeBody(writer: MessageWriter, query: Query, reply: Reply): void {
  writeQuestion(writer, query);
  for (const record of reply.answer) writeRecord(writer, record);
  for (const record of reply.authority) writeRecord(writer, record);
  for (const record of reply.additional) writeRecord(writer, record);
  if (reply.edns !== undefined) writeOpt(writer, reply.edns);
}

export function writeQuestion(writer: MessageWriter, { question }: Query): void {
  if (question === undefined) return;
  writer.name(question.name, true);
  writer.uint16(question.type);
  writer.uint16(question.class);
}

export function writeRecord(writer: MessageWriter, record: ResourceRecord): void {
  writer.name(record.owner, true);
  writer.uint16(record.kind === "foreign" ? record.code : typeCodes[record.kind]);
  writer.uint16(record.kind === "foreign" ? record.class : 1);
  writer.uint32(record.ttlSeconds);
  writer.sized(() => writeContent(writer, record));
}

function writeContent(writer: MessageWriter, record: ResourceRecord): void {
  switch (record.kind) {
    case "A":
    case "AAAA":
    case "foreign":
      return writer.raw(record.bytes);
    case "CNAME":
    case "NS":
    case "PTR":
      return writer.name(record.target, true);
    case "SRV":
      writer.uint16(record.priority);
      writer.uint16(record.weight);
      writer.uint16(record.port);
      return writer.name(record.target, false);
    case "TXT":
      return writer.text(record.bytes);
    case "SOA":
      writer.name(record.mname, true);
      writer.name(record.rname, true);
      for (const key of ["serial", "refresh", "retry", "expire", "minTtl"] as const) {
        writer.uint32(record[key]);
      }
      return;
    default:
      record satisfies never;
  }
}

/** The size is the client's own, sent back; flags and version are always 0. */
export function writeOpt(writer: MessageWriter, edns: ReplyEdns): void {
  writer.name(".", false);
  writer.uint16(typeCodes.OPT);
  writer.uint16(edns.udpSize);
  writer.uint32(0);
  writer.sized(() => {
    const { subnet } = edns;
    if (subnet === undefined) return;
    writer.uint16(8);
    writer.sized(() => {
      writer.uint16(subnet.family);
      writer.uint8(subnet.sourcePrefix);
      writer.uint8(edns.scopePrefix);
      writer.raw(subnet.address);
    });
  });
}

/** What goes back to a message that cannot be read: its own header, turned round. */
export function encodeRefusal(
  received: Uint8Array,
  rcode: number,
  keepsOpcode: boolean,
): Uint8Array {
  const out = new Uint8Array(headerBytes);
  out.set(received.subarray(0, 4));
  out[2] = 0x80 | (keepsOpcode ? received[2]! & 0x78 : 0) | (received[2]! & 0x03);
  out[3] = (received[3]! & 0xb0) | rcode;
  return out;
}
