// What the application is told of members and user events: at once, or coalesced.
import type { Member, MemberChange } from "../border.ts";
import { type Pool, type RosterEntry, setTimer } from "../state.ts";
import type { Due, Report, UserEventTold } from "./coalescer.ts";

export function tellMember(pool: Pool, change: MemberChange, entry: RosterEntry): void {
  const report: Report = { kind: "report", change, member: memberOf(entry) };
  tell(pool, "members", pool.memberCoalescer.add(report, pool.nowMs));
}

export function tellEvent(pool: Pool, event: UserEventTold): void {
  tell(pool, "events", pool.eventCoalescer.add(event, pool.nowMs));
}

export function memberOf(entry: RosterEntry): Member {
  const { name, address, port, tags, status, versions } = entry;
  return { name, address, port, tags, status, versions };
}

export function coalesceTick(pool: Pool, what: "members" | "events"): void {
  const coalescer = what === "members" ? pool.memberCoalescer : pool.eventCoalescer;
  tell(pool, what, coalescer.look(pool.nowMs));
}

/** Nothing stays untold when the pool is left. */
export function tellAll(pool: Pool): void {
  pool.effects.push(...pool.eventCoalescer.flush(), ...pool.memberCoalescer.flush());
}

function tell(
  pool: Pool,
  what: "members" | "events",
  { news, lookAfterMs }: Due<Report | UserEventTold>,
): void {
  pool.effects.push(...news);
  if (lookAfterMs !== undefined) setTimer(pool, { kind: "coalesced", what }, lookAfterMs);
}
