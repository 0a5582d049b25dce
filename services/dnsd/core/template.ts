// A reply encoded once: per query only the id, the order of its instances and the SOA's serial are
// put in. Made only where neither size nor content depends on the order drawn; what does is
// encoded anew each time.

import type { Random } from "#shared/random.ts";
import { limitsOf, reachableExtras } from "./fit.ts";
import type { AnswerGroup, Draft, Query, Reply, Transport } from "./message.ts";
import { recordText, type ResourceRecord } from "./records/records.ts";
import type { DnsSettings } from "./settings.ts";
import { writeHeader, writeOpt, writeQuestion, writeRecord } from "./wire/reply.ts";
import { MessageWriter, pointerOffsetMax } from "./wire/writer.ts";

export interface Template {
  /** Header and question. */
  head: Uint8Array;
  groups: EncodedGroup[];
  /** How many groups a reply shows. */
  take: number;
  /** OPT. */
  tail: Uint8Array;
  /** Where the SOA's serial stands in `head`; 0 = nowhere. */
  serialAt: number;
}

interface EncodedGroup {
  answer: Uint8Array;
  additional: Uint8Array;
  /** Pairs: where a pointer stands, what it points to, both from the start of the group's answer;
   *  places from `answer.length` on lie in `additional`. */
  pointers: Uint16Array;
}

/** Replies that are the same bytes each time. */
export function fixedTemplate(bytes: Uint8Array, serialAt: number): Template {
  return { head: bytes, groups: [], take: 0, tail: new Uint8Array(0), serialAt };
}

const scratch = new Uint8Array(0x10000);

export function shuffledTemplate(
  query: Query,
  draft: Draft,
  transport: Transport,
  settings: DnsSettings,
): Template | undefined {
  const limits = limitsOf(query, transport, settings);
  const fixedRecords = draft.answer.length + draft.authority.length + draft.additional.length;
  if (!draft.fitted || fixedRecords > 0) return undefined;
  if (draft.groups.some((group) => group.answer.length !== 1)) return undefined;
  const drawn = Math.min(draft.take ?? draft.groups.length, draft.groups.length);
  const isCut = drawn > limits.answersMax;
  if (isCut && !limits.isPlainUdp) return undefined;
  const take = Math.min(drawn, limits.answersMax);
  const groups = isCut ? draft.groups.map(withoutLooseExtras) : draft.groups;
  if (take < groups.length && !isIndependent(groups)) return undefined;
  const reply = templateReply(draft, groups, take, isCut && settings.enableTruncate);
  if (isCut) reply.edns = undefined;
  const template = encodeTemplate(query, reply, groups, take, settings);
  if (template === undefined) return undefined;
  // A cut reply is judged by its size without compression.
  const measured = isCut && !settings.disableCompression
    ? encodeTemplate(query, reply, groups, take, { ...settings, disableCompression: true })
    : template;
  const sizeMax = measured === undefined ? Number.POSITIVE_INFINITY : largest(measured);
  return sizeMax <= limits.bytesMax - 8 && sizeMax <= pointerOffsetMax ? template : undefined;
}

/** Draws that share an extra, or differ in how many they have, would differ in more than order. */
function isIndependent(groups: AnswerGroup[]): boolean {
  const counts = new Set(groups.map((group) => group.additional.length));
  if (counts.size > 1) return false;
  const extras = groups.flatMap((group) => group.additional).map(recordText);
  return new Set(extras).size === extras.length;
}

function withoutLooseExtras(group: AnswerGroup): AnswerGroup {
  const extras = new Map<string, ResourceRecord>();
  for (const record of group.additional) {
    const owner = record.owner.toLowerCase();
    if (!extras.has(owner)) extras.set(owner, record);
  }
  return { answer: group.answer, additional: reachableExtras(group.answer, extras) };
}

function templateReply(
  draft: Draft,
  groups: AnswerGroup[],
  take: number,
  truncated: boolean,
): Reply {
  const shown = groups.slice(0, take);
  return {
    rcode: draft.rcode,
    authoritative: draft.authoritative,
    truncated,
    answer: shown.flatMap((group) => group.answer),
    authority: [],
    additional: shown.flatMap((group) => group.additional),
    edns: draft.edns,
  };
}

function encodeTemplate(
  query: Query,
  reply: Reply,
  groups: AnswerGroup[],
  take: number,
  settings: DnsSettings,
): Template | undefined {
  const names = settings.disableCompression ? undefined : new Map<string, number>();
  const writer = new MessageWriter(scratch, names);
  writeHeader(writer, query, reply, settings.hasRecursors);
  writeQuestion(writer, query);
  const head = scratch.slice(0, writer.at);
  const encoded: EncodedGroup[] = [];
  for (const group of groups) {
    const one = encodeGroup(group, head.length, names);
    if (one === undefined) return undefined;
    encoded.push(one);
  }
  const tail = new MessageWriter(scratch, undefined);
  if (reply.edns !== undefined) writeOpt(tail, reply.edns);
  if (writer.isBroken) return undefined;
  return { head, groups: encoded, take, tail: scratch.slice(0, tail.at), serialAt: 0 };
}

/** A group points into the question and into itself only, so that it may stand anywhere. */
function encodeGroup(
  group: AnswerGroup,
  start: number,
  questionNames: ReadonlyMap<string, number> | undefined,
): EncodedGroup | undefined {
  const writer = new MessageWriter(scratch, questionNames && new Map(questionNames), start);
  const pointers: number[] = [];
  writer.onPointer = (at, target) => {
    if (target >= start) pointers.push(at - start, target - start);
  };
  for (const record of group.answer) writeRecord(writer, record);
  const middle = writer.at;
  for (const record of group.additional) writeRecord(writer, record);
  if (writer.isBroken || writer.at > pointerOffsetMax) return undefined;
  return {
    answer: scratch.slice(start, middle),
    additional: scratch.slice(middle, writer.at),
    pointers: Uint16Array.from(pointers),
  };
}

function largest(template: Template): number {
  const sizes = template.groups.map((group) => group.answer.length + group.additional.length);
  sizes.sort((a, b) => b - a);
  return sizes.slice(0, template.take)
    .reduce((sum, size) => sum + size, template.head.length + template.tail.length);
}

/** Writes one reply and returns its size. The drawn order stays in the template: the next draw
 *  starts from it, which is as random. */
export function renderTemplate(
  template: Template,
  id: number,
  wallSeconds: number,
  random: Random,
  out: Uint8Array,
): number {
  const { head, groups, take, tail, serialAt } = template;
  let at = copy(head, out, 0);
  out[0] = id >>> 8;
  out[1] = id;
  if (serialAt !== 0) putUint32(out, serialAt, wallSeconds);
  for (let i = 0; i < take; i++) {
    const drawn = i + random.below(groups.length - i);
    const group = groups[drawn]!;
    groups[drawn] = groups[i]!;
    groups[i] = group;
    at = copy(group.answer, out, at);
  }
  let answerAt = head.length;
  for (let i = 0; i < take; i++) {
    const group = groups[i]!;
    const additionalAt = at;
    at = copy(group.additional, out, at);
    const { pointers, answer } = group;
    for (let p = 0; p < pointers.length; p += 2) {
      const from = placed(pointers[p]!, answer.length, answerAt, additionalAt);
      const target = placed(pointers[p + 1]!, answer.length, answerAt, additionalAt);
      out[from] = 0xc0 | (target >>> 8);
      out[from + 1] = target;
    }
    answerAt += answer.length;
  }
  return copy(tail, out, at);
}

function placed(
  offset: number,
  answerBytes: number,
  answerAt: number,
  additionalAt: number,
): number {
  return offset < answerBytes ? answerAt + offset : additionalAt + offset - answerBytes;
}

/** Byte by byte: for so few it beats a call into the runtime. */
function copy(from: Uint8Array, to: Uint8Array, at: number): number {
  const { length } = from;
  for (let i = 0; i < length; i++) to[at + i] = from[i]!;
  return at + length;
}

function putUint32(out: Uint8Array, at: number, value: number): void {
  out[at] = value >>> 24;
  out[at + 1] = value >>> 16;
  out[at + 2] = value >>> 8;
  out[at + 3] = value;
}
