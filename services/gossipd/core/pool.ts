// The machine of one gossip pool: takes packets, streams, timers and orders, and says what to send,
// report and set. SWIM with Lifeguard (memberlist) below, Serf above.
import type { Machine } from "#shared/machine.ts";
import type { Random } from "#shared/random.ts";
import type { Effect, Input, Member } from "./border.ts";
import type { Keyring } from "./keyring.ts";
import { receivePacket, receiveStream } from "./receiving.ts";
import { clockLinesTick } from "./serf/clock-lines.ts";
import type { Coordinate } from "./serf/coordinate.ts";
import { fireEvent } from "./serf/events.ts";
import { keyQueries } from "./serf/internal-queries.ts";
import { finishLeaveStage, startLeave } from "./serf/leave.ts";
import { answerQuery, ask, endAsk } from "./serf/queries.ts";
import { forceLeave, pruneDue } from "./serf/roster.ts";
import { coalesceTick, memberOf } from "./serf/telling.ts";
import { reapTick, reconnectTick } from "./serf/upkeep.ts";
import type { Settings } from "./settings.ts";
import { start } from "./start.ts";
import { createPool, drop, type Pool } from "./state.ts";
import { checkQueues, gossipTick } from "./swim/gossip.ts";
import { probeEnded, probeTick, probeTimedOut, relayedProbeTimedOut } from "./swim/probe.ts";
import { join, pushPullTick, streamAnswered, streamFailed } from "./swim/push-pull.ts";
import { announceSelf, suspicionExpired } from "./swim/rumours.ts";
import { WireError } from "./wire/reader.ts";
import { keyRequest, serfTypes } from "./wire/serf.ts";
import { encodeTags, metaBytesMax } from "./wire/tags.ts";

export class GossipPool implements Machine<Input, Effect> {
  readonly #pool: Pool;

  constructor(settings: Settings, random: Random, keyring?: Keyring) {
    this.#pool = createPool(settings, random, keyring);
  }

  step(input: Input, nowMs: number): Effect[] {
    const pool = this.#pool;
    pool.nowMs = nowMs;
    pool.effects = [];
    try {
      handle(pool, input);
      for (const stage of pool.told.splice(0)) finishLeaveStage(pool, stage);
    } catch (error) {
      if (!(error instanceof WireError)) throw error;
      drop(pool, "malformed");
      if (input.kind === "received-stream") {
        pool.effects.push({ kind: "close-stream", stream: input.stream });
      }
    }
    return pool.effects;
  }

  /** Read-only views, for the bus, metrics and tests. */
  members(): Member[] {
    return [...this.#pool.roster.values()].map(memberOf);
  }

  get counters(): ReadonlyMap<string, number> {
    return this.#pool.counters;
  }

  get healthScore(): number {
    return this.#pool.awareness;
  }

  get coordinate(): Coordinate {
    return this.#pool.coordinates.own;
  }

  /** The last coordinate that a member sent us. */
  coordinateOf(name: string): Coordinate | undefined {
    return this.#pool.peerCoordinates.get(name);
  }

  get times(): { member: number; event: number; query: number } {
    const { clock, eventClock, queryClock } = this.#pool;
    return { member: clock.time, event: eventClock.time, query: queryClock.time };
  }

  get queueLengths(): { swim: number; intent: number; event: number; query: number } {
    const { broadcasts, intentQueue, eventQueue, queryQueue } = this.#pool;
    return {
      swim: broadcasts.length,
      intent: intentQueue.length,
      event: eventQueue.length,
      query: queryQueue.length,
    };
  }

  get leaveStage(): Pool["leave"] {
    return this.#pool.leave;
  }
}

function handle(pool: Pool, input: Input): void {
  switch (input.kind) {
    case "started":
      return start(pool, input.snapshot);
    case "received-packet":
      return receivePacket(pool, input.from, input.messages);
    case "received-stream":
      return receiveStream(pool, input.stream, input.message);
    case "stream-answered":
      return streamAnswered(pool, input.stream, input.message);
    case "stream-failed":
      return streamFailed(pool, input.stream, input.reason);
    case "timer-fired":
      return timerFired(pool, input.token);
    case "join-requested": {
      const mode = { ignoreOldEvents: input.ignoreOldEvents ?? false, untilFirst: false };
      return join(pool, input.join, input.peers, mode);
    }
    case "leave-requested":
      return startLeave(pool);
    case "force-leave-requested":
      return forceLeave(pool, input.name, input.prune);
    case "tags-changed":
      return changeTags(pool, input);
    case "event-fired":
      return fireEvent(pool, input.name, input.payload, input.coalesce);
    case "query-asked":
      return refuse(pool, input, ask(pool, { kind: "application", ask: input.ask }, input.query));
    case "query-answered":
      return refuse(pool, input, answerQuery(pool, input.query, input.payload));
    case "keys-asked":
      return askKeys(pool, input);
    default:
      input satisfies never;
  }
}

function timerFired(pool: Pool, token: number): void {
  const set = pool.timers.get(token);
  if (!set) return;
  pool.timers.delete(token);
  const lateMs = pool.nowMs - set.dueMs;
  const { timer } = set;
  switch (timer.kind) {
    case "probe":
      return probeTick(pool);
    case "probe-timeout":
      return probeTimedOut(pool, timer.seqNo, lateMs);
    case "probe-end":
      return probeEnded(pool, timer.seqNo, lateMs);
    case "relayed-probe-timeout":
      return relayedProbeTimedOut(pool, timer.seqNo);
    case "gossip":
      return gossipTick(pool);
    case "push-pull":
      return pushPullTick(pool);
    case "suspicion":
      return suspicionExpired(pool, timer.node, lateMs);
    case "reap":
      return reapTick(pool);
    case "reconnect":
      return reconnectTick(pool);
    case "queue-check":
      return checkQueues(pool);
    case "clock-lines":
      return clockLinesTick(pool);
    case "ask-ended":
      return endAsk(pool, timer.lTime);
    case "query-ended":
      pool.openQueries.delete(timer.query);
      return;
    case "prune":
      return pruneDue(pool, timer.node);
    case "coalesced":
      return coalesceTick(pool, timer.what);
    case "leave":
      return finishLeaveStage(pool, timer.stage);
    default:
      timer satisfies never;
  }
}

function refuse(
  pool: Pool,
  input: Extract<Input, { kind: "query-asked" | "query-answered" | "keys-asked" | "tags-changed" }>,
  reason: string | undefined,
): void {
  if (reason === undefined) return;
  const ask = "ask" in input ? { ask: input.ask } : {};
  pool.effects.push({ kind: "refused", order: input.kind, reason, ...ask });
}

function changeTags(pool: Pool, input: Extract<Input, { kind: "tags-changed" }>): void {
  const length = encodeTags(input.tags).length;
  if (length > metaBytesMax) {
    const reason = `Encoded length of tags exceeds limit of ${metaBytesMax} bytes`;
    return refuse(pool, input, reason);
  }
  pool.tags = input.tags;
  announceSelf(pool);
}

function askKeys(pool: Pool, input: Extract<Input, { kind: "keys-asked" }>): void {
  const Key = input.key ?? new Uint8Array();
  const purpose = { kind: "keys", ask: input.ask, operation: input.operation } as const;
  const reason = ask(pool, purpose, {
    name: keyQueries[input.operation],
    payload: keyRequest.encode({ Key }, serfTypes.keyRequest),
    filters: [],
    wantsAcks: false,
    relayFactor: input.relayFactor,
  });
  refuse(pool, input, reason);
}
