// Bytes of a question (RFC 1035 §4, RFC 6891, RFC 7871) → what is asked, or how to refuse it
// (spec §1).

import { formatLabel, nameBytesMax } from "../domain-name.ts";
import type { ClientSubnet, Edns, Query, Question } from "../message.ts";
import { typeCodes } from "../records/records.ts";

export type Received =
  | { kind: "query"; query: Query }
  /** A bare header goes back. */
  | { kind: "refuse"; rcode: "FORMERR" | "NOTIMP" }
  /** A reply, or less than a header: no answer at all. */
  | { kind: "drop" };

export const headerBytes = 12;
const opcodeQuery = 0;
const opcodeNotify = 4;
const pointersMax = 126;

export function decodeQuery(bytes: Uint8Array): Received {
  if (bytes.length < headerBytes || (bytes[2]! & 0x80) !== 0) return { kind: "drop" };
  const opcode = (bytes[2]! >> 3) & 15;
  if (opcode !== opcodeQuery && opcode !== opcodeNotify) return { kind: "refuse", rcode: "NOTIMP" };
  const answers = uint16(bytes, 6);
  const authorities = uint16(bytes, 8);
  const additionals = uint16(bytes, 10);
  if (uint16(bytes, 4) !== 1 || answers > 1 || authorities > 1 || additionals > 2) {
    return formatError;
  }
  const query: Query = {
    id: uint16(bytes, 0),
    opcode,
    recursionDesired: opcode === opcodeQuery && (bytes[2]! & 0x01) !== 0,
    checkingDisabled: opcode === opcodeQuery && (bytes[3]! & 0x10) !== 0,
    question: undefined,
    edns: undefined,
  };
  if (bytes.length === headerBytes) return { kind: "query", query };
  const read = readQuestion(bytes);
  if (read === undefined) return formatError;
  query.question = read.question;
  const rows = answers + authorities + additionals;
  const edns = readEdns(bytes, read.end, rows);
  if (edns === "malformed") return formatError;
  query.edns = edns;
  return { kind: "query", query };
}

const formatError: Received = { kind: "refuse", rcode: "FORMERR" };

/** A message that ends inside the question's type or class leaves them 0. */
function readQuestion(bytes: Uint8Array): { question: Question; end: number } | undefined {
  const name = readName(bytes, headerBytes);
  if (name === undefined) return undefined;
  const { text, end } = name;
  if (end === bytes.length) return { question: { name: text, type: 0, class: 0 }, end };
  if (end + 2 > bytes.length) return undefined;
  const type = uint16(bytes, end);
  if (end + 2 === bytes.length) return { question: { name: text, type, class: 0 }, end: end + 2 };
  if (end + 4 > bytes.length) return undefined;
  return { question: { name: text, type, class: uint16(bytes, end + 2) }, end: end + 4 };
}

/** The last OPT counts. A message that promises more records than it holds is taken as it is. */
function readEdns(bytes: Uint8Array, start: number, rows: number): Edns | undefined | "malformed" {
  let edns: Edns | undefined;
  let at = start;
  for (let row = 0; row < rows && at < bytes.length; row++) {
    const name = readName(bytes, at);
    if (name === undefined || name.end + 10 > bytes.length) return "malformed";
    const type = uint16(bytes, name.end);
    const size = uint16(bytes, name.end + 8);
    const body = name.end + 10;
    at = body + size;
    if (at > bytes.length) return "malformed";
    if (type !== typeCodes.OPT) continue;
    const subnet = readSubnet(bytes.subarray(body, at));
    if (subnet === "malformed") return "malformed";
    edns = { udpSize: uint16(bytes, name.end + 2), subnet };
  }
  return edns;
}

const optionSubnet = 8;

function readSubnet(options: Uint8Array): ClientSubnet | undefined | "malformed" {
  let subnet: ClientSubnet | undefined;
  let at = 0;
  while (at < options.length) {
    if (at + 4 > options.length) return "malformed";
    const code = uint16(options, at);
    const body = at + 4;
    at = body + uint16(options, at + 2);
    if (at > options.length) return "malformed";
    if (code !== optionSubnet) continue;
    if (at - body < 4) return "malformed";
    const family = uint16(options, body);
    const sourcePrefix = options[body + 2]!;
    const address = options.slice(body + 4, at);
    const bitsMax = family === 1 ? 32 : family === 2 ? 128 : 0;
    if (sourcePrefix > bitsMax || address.length > bitsMax / 8) return "malformed";
    subnet = { family, sourcePrefix, address };
  }
  return subnet;
}

export function uint16(bytes: Uint8Array, at: number): number {
  return (bytes[at]! << 8) | bytes[at + 1]!;
}

/** A name as text, pointers followed, and where the reader goes on after it. */
export function readName(
  bytes: Uint8Array,
  start: number,
): { text: string; end: number } | undefined {
  let text = "";
  let at = start;
  let end = -1;
  let pointers = 0;
  let wireBytes = 1;
  for (;;) {
    const length = bytes[at];
    if (length === undefined) return undefined;
    if (length === 0) return { text: text || ".", end: end < 0 ? at + 1 : end };
    if (length >= 0xc0) {
      if (at + 2 > bytes.length || ++pointers > pointersMax) return undefined;
      if (end < 0) end = at + 2;
      at = ((length & 0x3f) << 8) | bytes[at + 1]!;
      continue;
    }
    if (length > 63 || at + 1 + length > bytes.length) return undefined;
    wireBytes += length + 1;
    if (wireBytes > nameBytesMax) return undefined;
    text += formatLabel(bytes, at + 1, at + 1 + length) + ".";
    at += 1 + length;
  }
}
