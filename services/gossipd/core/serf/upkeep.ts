// Forgetting those who are long gone, and trying failed members again.
import { DurationError, parseDurationMs } from "#shared/consul/duration.ts";
import type { Peer } from "../border.ts";
import { type Pool, type RosterEntry, setTimer } from "../state.ts";
import { join } from "../swim/push-pull.ts";
import { erase } from "./roster.ts";

/** Joins of our own making; the shell's are numbered from 1. */
export const internalJoin = 0;

export function reapTick(pool: Pool): void {
  const { settings, nowMs } = pool;
  setTimer(pool, { kind: "reap" }, settings.reapIntervalMs);
  for (const entry of [...pool.roster.values()]) {
    if (entry.status !== "failed" && entry.status !== "left") continue;
    if (nowMs - entry.goneMs > goneTimeoutMs(pool, entry)) erase(pool, entry);
  }
  for (const [name, intent] of pool.intents) {
    if (nowMs - intent.seenMs > settings.recentIntentTimeoutMs) pool.intents.delete(name);
  }
}

/** A Consul client may say for itself after what time it is to be forgotten. */
function goneTimeoutMs(pool: Pool, entry: RosterEntry): number {
  const own = ownTimeoutMs(entry.tags.get("rc_tm"));
  if (own > 0) return own;
  const { reconnectTimeoutMs, tombstoneTimeoutMs } = pool.settings;
  return entry.status === "failed" ? reconnectTimeoutMs : tombstoneTimeoutMs;
}

function ownTimeoutMs(duration: string | undefined): number {
  if (duration === undefined) return 0;
  try {
    return parseDurationMs(duration);
  } catch (error) {
    if (error instanceof DurationError) return 0;
    throw error;
  }
}

/** The whole pool together tries each failed member about once an interval. */
export function reconnectTick(pool: Pool): void {
  setTimer(pool, { kind: "reconnect" }, pool.settings.reconnectIntervalMs);
  const entries = [...pool.roster.values()];
  const failed = entries.filter((entry) => entry.status === "failed");
  if (failed.length === 0) return;
  const here = entries.filter((entry) => entry.status === "alive" || entry.status === "leaving");
  if (!pool.random.chance(Math.min(1, failed.length / Math.max(1, here.length)))) return;
  rejoin(pool, [pool.random.pick(failed)]);
}

export function rejoin(pool: Pool, peers: readonly Peer[]): void {
  if (pool.joins.has(internalJoin) || pool.leave !== "no") return;
  join(pool, internalJoin, peers, { ignoreOldEvents: false, untilFirst: true });
}
