// User events: told to all, delivered once, in no particular order.
import { count, drop, type Pool } from "../state.ts";
import { encodeSerf, type UserEvent } from "../wire/serf.ts";
import { sameBytes } from "../wire/packet.ts";
import { userEventBytesCeiling } from "../settings.ts";
import { clockLines } from "./clock-lines.ts";
import { tellEvent } from "./telling.ts";

const noBytes = new Uint8Array();
/** What all remembered events together may take. */
const ringBytesMax = 16 * 1024 * 1024;

export function fireEvent(
  pool: Pool,
  name: string,
  payload: Uint8Array,
  coalesce: boolean,
): void {
  const limit = Math.min(pool.settings.userEventBytesMax, userEventBytesCeiling);
  const plainBytes = new TextEncoder().encode(name).length + payload.length;
  const body: UserEvent = {
    CC: coalesce,
    LTime: pool.eventClock.time,
    Name: name,
    Payload: payload,
  };
  const message = encodeSerf({ kind: "userEvent", body });
  if (Math.max(plainBytes, message.length) > limit) {
    const reason = plainBytes > limit
      ? `user event exceeds configured limit of ${limit} bytes before encoding`
      : `user event exceeds configured limit of ${limit} bytes after encoding`;
    pool.effects.push({ kind: "refused", order: "event-fired", reason });
    return;
  }
  pool.eventClock.increment();
  heardEvent(pool, body);
  pool.eventQueue.add({ message });
}

/** Returns whether it is new and must be told on. */
export function heardEvent(pool: Pool, event: UserEvent): boolean {
  pool.eventClock.witness(event.LTime);
  const slots = pool.events.length;
  const isOld = event.LTime < pool.eventMinLTime ||
    (pool.eventClock.time > slots && event.LTime < pool.eventClock.time - slots);
  if (isOld) {
    drop(pool, "too-old");
    return false;
  }
  const payload = event.Payload ?? noBytes;
  const slot = pool.events[event.LTime % slots];
  const known = { name: event.Name, payload };
  const bytes = known.name.length + payload.length;
  if (slot?.lTime === event.LTime) {
    const isKnown = slot.events.some((seen) =>
      seen.name === event.Name && sameBytes(seen.payload, payload)
    );
    if (isKnown) return false;
  }
  if (pool.eventBytes + bytes > ringBytesMax) {
    drop(pool, "oversized");
    return false;
  }
  pool.eventBytes += bytes;
  if (slot?.lTime === event.LTime) slot.events.push(known);
  else {
    for (const old of slot?.events ?? []) pool.eventBytes -= old.name.length + old.payload.length;
    pool.events[event.LTime % slots] = { lTime: event.LTime, events: [known] };
  }
  count(pool, "user events");
  pool.seenEventLTime = Math.max(pool.seenEventLTime, event.LTime);
  tellEvent(pool, {
    kind: "user-event",
    name: event.Name,
    payload,
    lTime: event.LTime,
    coalesce: event.CC,
  });
  clockLines(pool);
  return true;
}
