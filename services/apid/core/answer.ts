// What a handler gives back, and the header lines that Consul sends with reads.

import type { ReadMode } from "./params.ts";

export interface Answer {
  status: number;
  /** Empty: none is sent. */
  contentType: string;
  /** Further header lines, each ended by CRLF. */
  headers: string;
  body: string | Uint8Array;
  /** The complete HTTP answer with these common header lines, if it can be had ready-made; to be
   *  used at once. */
  whole?(common: string, gzip: boolean): Uint8Array;
}

export const jsonType = "application/json";
export const textType = "text/plain; charset=utf-8";

export function jsonAnswer(body: string, headers = ""): Answer {
  return { status: 200, contentType: jsonType, headers, body };
}

export function textAnswer(status: number, body: string, headers = ""): Answer {
  return { status, contentType: textType, headers, body };
}

/** A write that has nothing to say. */
export const emptyAnswer: Answer = textAnswer(200, "");

export interface ReadShown {
  index: number;
  knownLeader: boolean;
  lastContactMs: number;
  mode: ReadMode;
  /** Whether the endpoint says which consistency it gave. */
  showsConsistency: boolean;
  /** Blocking and cached health reads come from Consul's streaming backend. */
  isStreaming: boolean;
}

const effective: Record<ReadMode, string> = {
  default: "leader",
  consistent: "consistent",
  stale: "stale",
};

export function readHeaders(shown: ReadShown): string {
  const { isStreaming } = shown;
  return (shown.showsConsistency
    ? `X-Consul-Effective-Consistency: ${effective[shown.mode]}\r\n`
    : "") +
    `X-Consul-Index: ${Math.max(1, shown.index)}\r\n` +
    `X-Consul-Knownleader: ${isStreaming ? false : shown.knownLeader}\r\n` +
    `X-Consul-Lastcontact: ${isStreaming ? 0 : shown.lastContactMs}\r\n` +
    `X-Consul-Query-Backend: ${isStreaming ? "streaming" : "blocking-query"}\r\n`;
}

/** What failed catalog and query reads carry. */
export const failedReadHeaders = "X-Consul-Index: 1\r\nX-Consul-Knownleader: false\r\n" +
  "X-Consul-Lastcontact: 0\r\nX-Consul-Query-Backend: blocking-query\r\n";
