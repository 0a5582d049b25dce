// Serf's part of a full exchange: clocks, the times of intents, who left, and recent events.
import { drop, type Pool } from "../state.ts";
import { decodeSerf, encodeSerf, type PushPullState } from "../wire/serf.ts";
import { heardEvent } from "./events.ts";
import { heardJoin, heardLeave } from "./roster.ts";

export function localState(pool: Pool): Uint8Array {
  const entries = [...pool.roster.values()];
  const body: PushPullState = {
    EventLTime: pool.eventClock.time,
    Events: pool.events.map((slot) =>
      slot
        ? {
          Events: slot.events.map(({ name, payload }) => ({ Name: name, Payload: payload })),
          LTime: slot.lTime,
        }
        : null
    ),
    LTime: pool.clock.time,
    LeftMembers: entries.filter((entry) => entry.status === "left").map((entry) => entry.name),
    QueryLTime: pool.queryClock.time,
    StatusLTimes: new Map(entries.map((entry) => [entry.name, entry.statusLTime])),
  };
  return encodeSerf({ kind: "pushPull", body });
}

/** A peer without Serf sends none. The times of those who left go first, so that a later join of the
 *  same exchange does not outbid them. */
export function mergeState(pool: Pool, bytes: Uint8Array, ignoreOldEvents: boolean): void {
  if (bytes.length === 0) return;
  const message = decodeSerf(bytes);
  if (message.kind !== "pushPull") return drop(pool, "malformed");
  const { LTime, EventLTime, QueryLTime, Events } = message.body;
  if (LTime > 0) pool.clock.witness(LTime - 1);
  if (EventLTime > 0) pool.eventClock.witness(EventLTime - 1);
  if (QueryLTime > 0) pool.queryClock.witness(QueryLTime - 1);
  const times = message.body.StatusLTimes ?? new Map<string, number>();
  const left = new Set(message.body.LeftMembers ?? []);
  for (const name of left) {
    heardLeave(pool, { LTime: (times.get(name) ?? 0) + 1, Node: name, Prune: false });
  }
  for (const [name, time] of times) {
    if (!left.has(name)) heardJoin(pool, { LTime: time, Node: name });
  }
  if (ignoreOldEvents && EventLTime > pool.eventMinLTime) pool.eventMinLTime = EventLTime;
  for (const slot of Events ?? []) {
    for (const { Name, Payload } of slot?.Events ?? []) {
      heardEvent(pool, { CC: false, LTime: slot!.LTime, Name, Payload });
    }
  }
}
