// The end of a step: one write, what the shell must know first, the orders, what is committed.

import type { Effect } from "./machine.ts";
import { leaseUntilMs } from "./lease.ts";
import { type RaftState, readyIndex } from "./state.ts";

/** All effects of this step, in their order. A lease that ends is told before anything that could
 *  let another server lead. */
export function publish(s: RaftState): Effect[] {
  const first: Effect[] = [];
  const persist = s.disk.take(s.nowMs, s.log.lastIndex);
  if (persist) first.push(persist);
  publishLease(s, first);
  publishRole(s, first);
  const { latest } = s.members;
  if (latest.index !== s.published.configurationIndex) {
    s.published.configurationIndex = latest.index;
    first.push({ kind: "publish-configuration", configuration: latest });
  }
  if (s.commitIndex > s.published.commitIndex) {
    s.published.commitIndex = s.commitIndex;
    first.push({ kind: "commit", index: s.commitIndex });
  }
  if (first.length === 0) return s.effects;
  for (const effect of s.effects) first.push(effect);
  return first;
}

function publishLease(s: RaftState, effects: Effect[]): void {
  const untilMs = leaseUntilMs(s);
  const knownMs = s.published.leaseUntilMs;
  const gained = untilMs - knownMs;
  if (gained === 0 || (gained > 0 && knownMs > s.nowMs && gained < s.settings.heartbeatMs / 4)) {
    return;
  }
  s.published.leaseUntilMs = untilMs;
  effects.push({ kind: "publish-lease", untilMs });
}

function publishRole(s: RaftState, effects: Effect[]): void {
  const { role, term, leader, published } = s;
  const ready = readyIndex(s);
  const isKnown = role === published.role && term === published.term &&
    leader === published.leader && ready === published.readyIndex;
  if (isKnown) return;
  Object.assign(published, { role, term, leader, readyIndex: ready });
  effects.push({ kind: "publish-role", role, term, leader, readyIndex: ready });
}
