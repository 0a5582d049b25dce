// A recursor's reply written anew, so that its names are compressed (or not) as ours are. What
// cannot be understood in full goes on as it came.

import { rcodes, typeCodes } from "../records/records.ts";
import { headerBytes, readName, uint16 } from "./query.ts";
import { MessageWriter } from "./writer.ts";

/** Where names stand in a record's content: bytes before them, how many, bytes after them. */
interface Layout {
  before: number;
  names: number;
  after: number;
  mayCompress: boolean;
}

const layouts = new Map<number, Layout>([
  [typeCodes.NS, { before: 0, names: 1, after: 0, mayCompress: true }],
  [typeCodes.CNAME, { before: 0, names: 1, after: 0, mayCompress: true }],
  [typeCodes.PTR, { before: 0, names: 1, after: 0, mayCompress: true }],
  [typeCodes.SOA, { before: 0, names: 2, after: 20, mayCompress: true }],
  [typeCodes.MX, { before: 2, names: 1, after: 0, mayCompress: true }],
  [typeCodes.SRV, { before: 6, names: 1, after: 0, mayCompress: false }],
]);

/** Types whose content never holds a compressed name (RFC 3597 §4): A, HINFO, TXT, AAAA, OPT, DS,
 *  SSHFP, RRSIG, NSEC, DNSKEY, NSEC3, NSEC3PARAM, TLSA, SVCB, HTTPS, SPF, CAA. */
const plainTypes = new Set<number>(
  [1, 13, 16, 28, 41, 43, 44, 46, 47, 48, 50, 51, 52, 64, 65, 99, 257],
);

export function repackReply(reply: Uint8Array, compresses: boolean): Uint8Array {
  if (reply.length <= headerBytes || (reply[3]! & 15) === rcodes.FORMERR) return reply;
  const bytes = new Uint8Array(0xffff);
  const writer = new MessageWriter(bytes, compresses ? new Map() : undefined);
  writer.raw(reply.subarray(0, headerBytes));
  let at = headerBytes;
  for (let i = uint16(reply, 4); i > 0; i--) {
    const name = readName(reply, at);
    if (name === undefined || name.end + 4 > reply.length) return reply;
    writer.name(name.text, true);
    writer.raw(reply.subarray(name.end, name.end + 4));
    at = name.end + 4;
  }
  const records = uint16(reply, 6) + uint16(reply, 8) + uint16(reply, 10);
  for (let i = records; i > 0; i--) {
    const end = copyRecord(reply, at, writer);
    if (end === undefined) return reply;
    at = end;
  }
  const isWhole = at === reply.length && !writer.isBroken && writer.at <= bytes.length;
  return isWhole ? bytes.subarray(0, writer.at) : reply;
}

/** Where the next record begins; undefined when this one is not understood. */
function copyRecord(reply: Uint8Array, start: number, writer: MessageWriter): number | undefined {
  const owner = readName(reply, start);
  if (owner === undefined || owner.end + 10 > reply.length) return undefined;
  const body = owner.end + 10;
  const end = body + uint16(reply, owner.end + 8);
  if (end > reply.length) return undefined;
  writer.name(owner.text, true);
  writer.raw(reply.subarray(owner.end, owner.end + 8));
  const type = uint16(reply, owner.end);
  const layout = layouts.get(type);
  if (layout === undefined && !plainTypes.has(type)) return undefined;
  let isUnderstood = true;
  writer.sized(() => {
    if (layout === undefined) writer.raw(reply.subarray(body, end));
    else isUnderstood = copyNames(reply, body, end, layout, writer);
  });
  return isUnderstood ? end : undefined;
}

function copyNames(
  reply: Uint8Array,
  start: number,
  end: number,
  { before, names, after, mayCompress }: Layout,
  writer: MessageWriter,
): boolean {
  let at = start + before;
  if (at > end) return false;
  writer.raw(reply.subarray(start, at));
  for (let i = 0; i < names; i++) {
    const name = readName(reply, at);
    if (name === undefined || name.end > end) return false;
    writer.name(name.text, mayCompress);
    at = name.end;
  }
  writer.raw(reply.subarray(at, end));
  return at + after === end;
}
