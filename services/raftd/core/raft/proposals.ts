// What the leader takes into its log: commands in batches, changes of the configuration one at a
// time; and the first configuration of a blank server.

import { refuseProposals } from "./forward.ts";
import { newEntry, replicateToAll, syncPeers } from "./leader.ts";
import { changedServers, checkedServers, encodeConfiguration } from "./membership.ts";
import type {
  Configuration,
  ConfigurationChange,
  Entry,
  Proposal,
  Propose,
  Refusal,
  ServerId,
} from "./messages.ts";
import { entryBytes } from "./log.ts";
import { appendEntries, type RaftState, readyIndex, send, setTerm, wallMs } from "./state.ts";

/** A promoted server may lack at most this many entries. */
const PROMOTION_LAG_MAX = 1_024;

/** Proposals of this server's callers. */
export function takeProposals(s: RaftState, proposals: readonly Proposal[]): void {
  const ids = proposals.map((proposal) => proposal.id);
  const refusal = refusalNow(s);
  if (refusal !== "") return refuseProposals(s, ids, refusal, refusalText(refusal));
  const firstIndex = appendProposals(s, s.id, proposals);
  s.effects.push({ kind: "answer-proposals", ids, firstIndex, term: s.term });
}

/** Proposals that a follower sent on. */
export function onPropose(s: RaftState, from: ServerId, m: Propose): void {
  const refusal = s.role === "leader" ? refusalNow(s) : "not-leader";
  const firstIndex = refusal === "" ? appendProposals(s, from, m.proposals) : 0;
  const leader = s.leader === from ? "" : s.leader;
  send(s, from, {
    kind: "propose-answer",
    batch: m.batch,
    refusal,
    term: s.term,
    firstIndex,
    leader,
  });
}

function refusalNow(s: RaftState): Refusal | "" {
  const leadership = s.leadership!;
  if (leadership.transfer) return "transferring";
  if (s.isDiskFull) return "disk-full";
  if (leadership.uncommittedBytes >= s.settings.uncommittedBytesMax) return "overloaded";
  return "";
}

function refusalText(refusal: Refusal): string {
  switch (refusal) {
    case "transferring":
      return "leadership transfer in progress";
    case "disk-full":
      return "the disk is full: free space in data_dir";
    case "overloaded":
      return "too many writes are waiting to be committed";
    default:
      return refusal;
  }
}

function appendProposals(s: RaftState, origin: ServerId, proposals: readonly Proposal[]): number {
  const firstIndex = s.log.lastIndex + 1;
  const stampMs = wallMs(s);
  const term = s.term;
  let bytes = 0;
  const entries = proposals.map((p, i): Entry => {
    const { kind, id } = p;
    const entry = { index: firstIndex + i, term, kind, stampMs, origin, id, bytes: p.bytes };
    bytes += entryBytes(entry);
    return entry;
  });
  if (entries.length === 0) return firstIndex;
  appendEntries(s, entries);
  const leadership = s.leadership!;
  leadership.uncommitted.push({ lastIndex: s.log.lastIndex, bytes });
  leadership.uncommittedBytes += bytes;
  replicateToAll(s);
  return firstIndex;
}

export function proposeChange(
  s: RaftState,
  id: number,
  change: ConfigurationChange,
  prevIndex: number | undefined,
): void {
  const refused = whyNotChange(s, change, prevIndex);
  if (refused) return refuseProposals(s, [id], refused[0], refused[1]);
  const servers = changedServers(s.members.latest.servers, change);
  if (typeof servers === "string") return refuseProposals(s, [id], "invalid", servers);
  const entry = newEntry(s, "configuration", s.id, id, encodeConfiguration(servers));
  appendEntries(s, [entry]);
  syncPeers(s);
  s.effects.push({ kind: "answer-proposals", ids: [id], firstIndex: entry.index, term: s.term });
  replicateToAll(s);
}

/** One change at a time, and none before this term has committed an entry: two leaders could
 *  otherwise each change the same configuration with majorities that do not overlap. */
function whyNotChange(
  s: RaftState,
  change: ConfigurationChange,
  prevIndex: number | undefined,
): [Refusal, string] | undefined {
  if (!s.leadership) return ["not-leader", "node is not the leader"];
  const refusal = refusalNow(s);
  if (refusal !== "") return [refusal, refusalText(refusal)];
  const { latest } = s.members;
  if (readyIndex(s) === 0) return ["not-ready", "the leader has not committed an entry yet"];
  if (latest.index > s.commitIndex) return ["not-ready", "a change of members is under way"];
  if (prevIndex !== undefined && prevIndex !== latest.index) {
    return ["invalid", `configuration changed since ${prevIndex} (latest is ${latest.index})`];
  }
  if (change.kind === "promote" && change.id !== s.id) {
    const peer = s.leadership.peers.get(change.id);
    const isBehind = !peer || peer.state !== "replicate" ||
      peer.matchIndex + PROMOTION_LAG_MAX < s.log.lastIndex;
    if (isBehind) return ["not-ready", `server ${change.id} has not caught up yet`];
  }
  return undefined;
}

/** The first entry of a cluster's log. Every server that begins the same cluster writes the same
 *  bytes. Term 1 belongs to this entry alone: a server that crashed between its term and the entry
 *  is still blank. */
export function bootstrap(s: RaftState, id: number, configuration: Configuration): void {
  const isBlank = s.log.lastIndex === 0 && s.term <= 1 && s.votedFor === "" &&
    s.members.members.length === 0;
  if (!isBlank) {
    const message = "bootstrap only works on new clusters";
    return refuseProposals(s, [id], "invalid", message);
  }
  const servers = checkedServers(configuration.servers);
  if (typeof servers === "string") return refuseProposals(s, [id], "invalid", servers);
  const bytes = encodeConfiguration(servers);
  const kind = "configuration";
  setTerm(s, 1, "");
  appendEntries(s, [{ index: 1, term: 1, kind, stampMs: 0, origin: "", id: 0, bytes }]);
  s.effects.push({ kind: "answer-proposals", ids: [id], firstIndex: 1, term: 1 });
}
