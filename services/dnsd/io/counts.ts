// What the sockets count: plain numbers, read by metrics.ts.

import { Counter } from "#shared/metrics.ts";

export class DnsCounts {
  udpQueries = 0;
  tcpQueries = 0;
  /** Answered from a template. */
  known = 0;
  stale = 0;
  /** By rcode. */
  readonly answers: Counter[] = Array.from({ length: 16 }, () => new Counter());
  notAQuery = 0;
  noWireForm = 0;
  /** Replies that the send queue had no room for. */
  unsent = 0;
  /** Questions refused because too many waited for a recursor or another datacenter. */
  overloaded = 0;
  sendErrors = 0;
  tcpConnections = 0;
  tcpRefused = 0;
  tcpTimedOut = 0;
  tcpBroken = 0;
  forwarded = 0;
  recursorFailures = 0;
  fetches = 0;
  fetchFailures = 0;
}
