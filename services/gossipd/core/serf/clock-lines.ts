// What goes into the rejoin snapshot as time passes.
import { isLeaving, type Pool, setTimer } from "../state.ts";
import type { SnapshotLine } from "./snapshot.ts";

const intervalMs = 500;

/** After the line "leave" nothing more is written: a left node does not rejoin. */
export function snapshotLine(pool: Pool, line: SnapshotLine): void {
  if (isLeaving(pool)) return;
  pool.effects.push({ kind: "snapshot-line", line });
}

/** The clocks, where they have moved; a line holds the last time that was used. */
export function clockLines(pool: Pool): void {
  const { written } = pool;
  const now = {
    clock: pool.clock.time - 1,
    eventClock: pool.seenEventLTime,
    queryClock: pool.seenQueryLTime,
  };
  if (now.clock > written.clock) snapshotLine(pool, { kind: "clock", time: now.clock });
  if (now.eventClock > written.eventClock) {
    snapshotLine(pool, { kind: "event-clock", time: now.eventClock });
  }
  if (now.queryClock > written.queryClock) {
    snapshotLine(pool, { kind: "query-clock", time: now.queryClock });
  }
  pool.written = now;
}

export function clockLinesTick(pool: Pool): void {
  setTimer(pool, { kind: "clock-lines" }, intervalMs);
  clockLines(pool);
}
