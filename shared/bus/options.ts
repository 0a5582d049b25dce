// Options of both ends of the bus, and their bounds.

import type { ErrorCode } from "../errors.ts";
import type { Sequencers } from "./resend.ts";
import type { Transport } from "./transport.ts";
import type { Address, BusCounts, BusLog, Identity } from "./types.ts";

/** Longer messages go in pieces (answers) or as streams. */
export const frameMaxDefault = 16 * 1024 * 1024;
/** Bytes that may wait for one socket. */
export const queuedMaxDefault = 64 * 1024 * 1024;

export interface BusClientOptions {
  /** Tried in order; the client returns to an earlier one as soon as that answers again. */
  addresses: Address[];
  /** The daemon expected there, for messages and logs. */
  daemon: string;
  identity: Identity;
  log?: BusLog;
  counts?: BusCounts;
  transport?: Transport;
  sequencers?: Sequencers;
  frameMax?: number;
  /** Bytes that may wait for the socket before calls fail with `overloaded`. */
  queuedMax?: number;
  /** Calls that may wait for a connection. */
  waitingMax?: number;
  backoffMs?: { first: number; most: number };
  pingIntervalMs?: number;
  /** What a call is refused with that waited for a connection in vain; `unavailable` when absent. */
  unreachableCode?: ErrorCode;
  /** False: calls fail at once when no address answers or the connection breaks; the owner decides
   *  what to send again, and where. */
  waits?: boolean;
}

export interface BusServerOptions {
  identity: Identity;
  log?: BusLog;
  counts?: BusCounts;
  transport?: Transport;
  frameMax?: number;
  /** Bytes that may wait for one slow caller before its new calls fail with `overloaded`. */
  queuedMax?: number;
  /** Unanswered calls of one connection. */
  callsMax?: number;
  pingIntervalMs?: number;
}
