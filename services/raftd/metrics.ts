// Every metric of raftd.

import type { Metrics } from "#shared/metrics.ts";

export function declareMetrics(metrics: Metrics) {
  return {
    commitSeconds: metrics.histogram(
      "raftd_log_commit_seconds",
      "How long a batch of entries took to reach the disk.",
    ),
    applySeconds: metrics.histogram(
      "raftd_apply_seconds",
      "How long a batch of entries took to be applied to the state.",
    ),
    appliedEntries: metrics.counter("raftd_applied_entries_total", "Entries applied to the state."),
    leaderChanges: metrics.counter(
      "raftd_leader_changes_total",
      "How often the known leader changed.",
    ),
    lateTimers: metrics.counter(
      "raftd_consensus_late_total",
      "How often the consensus thread was 50 ms late or more: too little processor time.",
    ),
    badPeerConnections: metrics.counter(
      "raftd_bad_peer_connections_total",
      "Connections to the server port that were refused or closed for what they sent.",
    ),
  };
}

export type RaftdMetrics = ReturnType<typeof declareMetrics>;

/** Numbers that are read when they are asked for. */
export interface Observed {
  term(): number;
  isLeader(): boolean;
  appliedIndex(): number;
  waitingWrites(): number;
  watches(): number;
  watchStreams(): number;
  subscriptions(): number;
  isDiskFull(): boolean;
}

export function observe(metrics: Metrics, source: Observed): void {
  const gauge = (name: string, help: string, read: () => number) =>
    metrics.observed(name, help, "gauge", read);
  gauge("raftd_term", "The current term.", () => source.term());
  gauge("raftd_is_leader", "1 on the leader.", () => Number(source.isLeader()));
  gauge("raftd_applied_index", "Last log index applied here.", () => source.appliedIndex());
  gauge("raftd_waiting_writes", "Writes without an outcome yet.", () => source.waitingWrites());
  gauge("raftd_watches", "Questions that are watched for change.", () => source.watches());
  gauge("raftd_watch_streams", "Callers that watch.", () => source.watchStreams());
  gauge("raftd_subscriptions", "Streams of changes.", () => source.subscriptions());
  gauge(
    "raftd_disk_full",
    "1 while writes are refused for lack of disk space.",
    () => Number(source.isDiskFull()),
  );
}
