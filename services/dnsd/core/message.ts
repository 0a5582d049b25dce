// A question as it came and a reply as it will go, before and after the order of its answers is
// drawn.

import type { ResourceRecord } from "./records/records.ts";

/** EDNS client subnet (RFC 7871). */
export interface ClientSubnet {
  family: number;
  sourcePrefix: number;
  /** As many bytes as the prefix needs. */
  address: Uint8Array;
}

export interface Edns {
  udpSize: number;
  subnet: ClientSubnet | undefined;
}

export interface Query {
  id: number;
  opcode: number;
  recursionDesired: boolean;
  checkingDisabled: boolean;
  /** Absent when the message ends right after its header. */
  question: Question | undefined;
  edns: Edns | undefined;
}

export interface Question {
  /** As asked, letter case and all. */
  name: string;
  type: number;
  class: number;
}

export type Transport = "udp" | "tcp";

/** What one instance of a service brings into a reply: both parts stay or go together. */
export interface AnswerGroup {
  answer: ResourceRecord[];
  additional: ResourceRecord[];
}

/** A reply whose groups have no order yet: `take` of them (all when undefined) are drawn. */
export interface Draft {
  rcode: number;
  authoritative: boolean;
  answer: ResourceRecord[];
  groups: AnswerGroup[];
  take: number | undefined;
  /** False where the order means something (prepared queries sort by distance). */
  shuffled: boolean;
  authority: ResourceRecord[];
  additional: ResourceRecord[];
  /** Whether the rules on size and count apply: not for PTR. */
  fitted: boolean;
  edns: ReplyEdns | undefined;
}

export interface ReplyEdns extends Edns {
  scopePrefix: number;
}

export interface Reply {
  rcode: number;
  authoritative: boolean;
  truncated: boolean;
  answer: ResourceRecord[];
  authority: ResourceRecord[];
  additional: ResourceRecord[];
  edns: ReplyEdns | undefined;
}
