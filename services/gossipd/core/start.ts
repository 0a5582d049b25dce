// The start of a pool: announce ourselves, set the timers, and rejoin where the snapshot says.
import { parseEndpoint } from "./address.ts";
import type { Snapshot } from "./serf/snapshot.ts";
import { rejoin } from "./serf/upkeep.ts";
import { type Pool, setTimer, type Timer } from "./state.ts";
import { pushPullScale } from "./swim/push-pull.ts";
import { announceSelf } from "./swim/rumours.ts";

export function start(pool: Pool, snapshot: Snapshot | undefined): void {
  const { settings, random } = pool;
  if (snapshot) restore(pool, snapshot);
  announceSelf(pool);
  // A random first delay, so that nodes started together do not all speak at once.
  const stagger = (timer: Timer, everyMs: number) =>
    setTimer(pool, timer, random.fraction() * everyMs);
  stagger({ kind: "probe" }, settings.probeIntervalMs);
  stagger({ kind: "gossip" }, settings.gossipIntervalMs);
  stagger({ kind: "push-pull" }, settings.pushPullIntervalMs * pushPullScale(pool.nodes.length));
  setTimer(pool, { kind: "reap" }, settings.reapIntervalMs);
  setTimer(pool, { kind: "reconnect" }, settings.reconnectIntervalMs);
  setTimer(pool, { kind: "queue-check" }, settings.queueCheckIntervalMs);
  setTimer(pool, { kind: "clock-lines" }, 0);
  if (!snapshot) return;
  const peers = [...snapshot.alive].flatMap(([name, address]) => {
    const endpoint = parseEndpoint(address);
    return endpoint && name !== settings.name ? [{ ...endpoint, name }] : [];
  });
  if (peers.length > 0) rejoin(pool, random.shuffle(peers));
}

/** Times go on where they were, and what was delivered before is not delivered again. */
function restore(pool: Pool, snapshot: Snapshot): void {
  const { clock, eventClock, queryClock } = snapshot;
  pool.clock.witness(clock);
  pool.eventClock.witness(eventClock);
  pool.queryClock.witness(queryClock);
  pool.eventMinLTime = eventClock + 1;
  pool.queryMinLTime = queryClock + 1;
  pool.seenEventLTime = eventClock;
  pool.seenQueryLTime = queryClock;
  pool.written = { clock, eventClock, queryClock };
}
