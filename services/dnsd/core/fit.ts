// How much of a reply fits: limits on count and size, and what goes first (spec §8).

import type { Draft, Query, Reply, Transport } from "./message.ts";
import { type ResourceRecord, typeCodes } from "./records/records.ts";
import type { DnsSettings } from "./settings.ts";
import { replySize } from "./wire/reply.ts";

const plainUdpBytes = 512;
const udpBytesMax = 65467;
const tcpBytesMax = 65523;
/** Kept free in a datagram. */
const marginBytes = 8;
const plainUdpAnswersMax = 8;
const tcpAnswersMax = 4096;
const tcpSrvAnswersMax = 1024;
/** Further over than this, the number to keep is searched for by halving. */
const halvingBytes = 100;

export interface Limits {
  transport: Transport;
  /** Of the message. */
  bytesMax: number;
  answersMax: number;
  /** The cut by count is told by TC and drops the extras. */
  isPlainUdp: boolean;
}

export function limitsOf(query: Query, transport: Transport, settings: DnsSettings): Limits {
  if (transport === "tcp") {
    const answersMax = query.question?.type === typeCodes.SRV ? tcpSrvAnswersMax : tcpAnswersMax;
    return { transport, bytesMax: tcpBytesMax, answersMax, isPlainUdp: false };
  }
  const asked = Math.max(query.edns?.udpSize ?? 0, plainUdpBytes);
  const isPlainUdp = asked === plainUdpBytes;
  const answersMax = isPlainUdp
    ? Math.min(plainUdpAnswersMax, settings.udpAnswerLimit)
    : Number.POSITIVE_INFINITY;
  return { transport, bytesMax: Math.min(asked, udpBytesMax), answersMax, isPlainUdp };
}

/** What a draft's fixed parts and its drawn answers become. */
export function fit(
  query: Query,
  draft: Draft,
  answer: ResourceRecord[],
  additional: ResourceRecord[],
  transport: Transport,
  settings: DnsSettings,
): Reply {
  const reply: Reply = {
    rcode: draft.rcode,
    authoritative: draft.authoritative,
    truncated: false,
    answer,
    authority: draft.authority,
    additional,
    edns: draft.edns,
  };
  if (!draft.fitted) return reply;
  const limits = limitsOf(query, transport, settings);
  const extras = new Map<string, ResourceRecord>();
  for (const record of reply.additional) {
    const owner = record.owner.toLowerCase();
    if (!extras.has(owner)) extras.set(owner, record);
  }
  let compresses = !settings.disableCompression;
  if (answer.length > limits.answersMax) {
    keep(reply, answer, limits.answersMax);
    if (limits.isPlainUdp) {
      rebuildExtras(reply, extras);
      // The size is then judged as if a resolver on the way unpacked the names.
      compresses = false;
    }
  }
  const wasCut = shrink(query, reply, extras, limits, compresses);
  const isShort = limits.transport === "udp" ? reply.answer.length < answer.length : wasCut;
  reply.truncated = isShort && settings.enableTruncate;
  return reply;
}

function shrink(
  query: Query,
  reply: Reply,
  extras: ReadonlyMap<string, ResourceRecord>,
  limits: Limits,
  compresses: boolean,
): boolean {
  const allowed = limits.bytesMax - (limits.transport === "udp" ? marginBytes : 0);
  let wasCut = false;
  while (reply.answer.length > 1) {
    let size = replySize(query, reply, compresses);
    if (size <= allowed) break;
    wasCut = true;
    if (reply.authority.length > 0) {
      reply.authority = [];
      size = replySize(query, reply, compresses);
    }
    const all = reply.answer;
    if (size - limits.bytesMax > halvingBytes) {
      keep(reply, all, halve(query, reply, extras, limits.bytesMax, compresses));
    } else {
      keep(reply, all, all.length - 1);
    }
    rebuildExtras(reply, extras);
  }
  return wasCut;
}

/** The most answers whose message, extras rebuilt, has at most so many bytes. */
function halve(
  query: Query,
  reply: Reply,
  extras: ReadonlyMap<string, ResourceRecord>,
  bytesMax: number,
  compresses: boolean,
): number {
  const all = reply.answer;
  let low = 0;
  let high = all.length + 1;
  while (high - low > 1) {
    const middle = low + Math.floor((high - low) / 2);
    keep(reply, all, middle);
    rebuildExtras(reply, extras);
    const size = replySize(query, reply, compresses);
    if (size > bytesMax) high = middle;
    // So near the limit no further answer can follow.
    else if (bytesMax - size < 10) return middle;
    else low = middle;
  }
  return low;
}

function keep(reply: Reply, answers: ResourceRecord[], count: number): void {
  reply.answer = answers.slice(0, count);
}

/** Only what the remaining SRV targets lead to stays: neither metadata nor OPT. */
function rebuildExtras(reply: Reply, extras: ReadonlyMap<string, ResourceRecord>): void {
  reply.additional = reachableExtras(reply.answer, extras);
  reply.edns = undefined;
}

/** One record per name, following CNAMEs. */
export function reachableExtras(
  answer: readonly ResourceRecord[],
  extras: ReadonlyMap<string, ResourceRecord>,
): ResourceRecord[] {
  const reached: ResourceRecord[] = [];
  const seen = new Set<string>();
  for (const record of answer) {
    let target = record.kind === "SRV" ? record.target.toLowerCase() : undefined;
    while (target !== undefined && !seen.has(target)) {
      seen.add(target);
      const extra = extras.get(target);
      if (extra !== undefined) reached.push(extra);
      target = extra?.kind === "CNAME" ? extra.target.toLowerCase() : undefined;
    }
  }
  return reached;
}
