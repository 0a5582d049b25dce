// Counters of the bus, and the log for those who give none.

import type { BusCounts, BusLog } from "./types.ts";

export function newCounts(): BusCounts {
  return {
    calls: 0,
    failures: 0,
    connectionsOpened: 0,
    connectionsClosed: 0,
    reconnects: 0,
    resends: 0,
    badFrames: 0,
    oversizedFrames: 0,
    badPayloads: 0,
    overloads: 0,
    forwarded: 0,
    bytesIn: 0,
    bytesOut: 0,
  };
}

export const silentLog: BusLog = { debug() {}, info() {}, warn() {} };
