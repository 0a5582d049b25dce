// What an operator and the leader's duties see of a Raft server.

import { leaseUntilMs } from "./lease.ts";
import type { RaftStatus } from "./machine.ts";
import { type RaftState, readyIndex } from "./state.ts";

export function statusOf(s: RaftState, nowMs: number): RaftStatus {
  const peers = [...s.leadership?.peers.values() ?? []].map((peer) => ({
    id: peer.id,
    state: peer.state,
    matchIndex: peer.matchIndex,
    nextIndex: peer.nextIndex,
    inflightCount: peer.inflightCount,
    contactAgeMs: nowMs - peer.contactMs,
  }));
  return {
    id: s.id,
    role: s.role,
    term: s.term,
    votedFor: s.votedFor,
    leader: s.leader,
    readyIndex: readyIndex(s),
    baseIndex: s.log.base.index,
    lastIndex: s.log.lastIndex,
    lastTerm: s.log.lastTerm,
    persistedIndex: s.disk.persistedIndex,
    commitIndex: s.commitIndex,
    appliedIndex: s.appliedIndex,
    configuration: s.members.latest,
    committedConfigurationIndex: s.members.committed(s.commitIndex).index,
    contactAgeMs: s.leadership ? 0 : nowMs - s.contactMs,
    leaseUntilMs: leaseUntilMs(s),
    peers,
  };
}
