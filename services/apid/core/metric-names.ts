// Consul's metric names and where each comes from: the one table behind /v1/agent/metrics.

export interface MetricSource {
  /** Consul's name, without the prefix. */
  consul: string;
  kind: "gauge" | "counter" | "sample";
  /** The daemon and its metric; samples are histograms in seconds, shown in milliseconds. */
  daemon: string;
  metric: string;
  /** What to multiply with; for samples 1000 unless given. */
  scale?: number;
}

export const metricSources: readonly MetricSource[] = [
  { consul: "runtime.alloc_bytes", kind: "gauge", daemon: "*", metric: "memory_bytes" },
  { consul: "runtime.sys_bytes", kind: "gauge", daemon: "*", metric: "memory_bytes" },
  { consul: "server.isLeader", kind: "gauge", daemon: "raftd", metric: "raftd_is_leader" },
  { consul: "raft.applied_index", kind: "gauge", daemon: "raftd", metric: "raftd_applied_index" },
  { consul: "raft.last_index", kind: "gauge", daemon: "raftd", metric: "raftd_last_index" },
  { consul: "raft.commitTime", kind: "sample", daemon: "raftd", metric: "raftd_commit_seconds" },
  { consul: "raft.apply", kind: "counter", daemon: "raftd", metric: "raftd_applied_total" },
  {
    consul: "raft.state.candidate",
    kind: "counter",
    daemon: "raftd",
    metric: "raftd_elections_total",
  },
  {
    consul: "raft.state.leader",
    kind: "counter",
    daemon: "raftd",
    metric: "raftd_leaderships_total",
  },
  { consul: "rpc.request", kind: "counter", daemon: "raftd", metric: "raftd_bus_calls_total" },
  {
    consul: "rpc.request_error",
    kind: "counter",
    daemon: "raftd",
    metric: "raftd_bus_failures_total",
  },
  { consul: "rpc.queries_blocking", kind: "gauge", daemon: "apid", metric: "apid_blocked_reads" },
  { consul: "api.http", kind: "sample", daemon: "apid", metric: "apid_request_seconds" },
  { consul: "client.api.success", kind: "counter", daemon: "apid", metric: "apid_requests_total" },
  { consul: "dns.domain_query", kind: "sample", daemon: "dnsd", metric: "dnsd_query_seconds" },
  {
    consul: "dns.stale_queries",
    kind: "counter",
    daemon: "dnsd",
    metric: "dnsd_stale_answers_total",
  },
  {
    consul: "memberlist.udp.sent",
    kind: "counter",
    daemon: "gossipd",
    metric: "gossipd_udp_sent_bytes_total",
  },
  {
    consul: "memberlist.udp.received",
    kind: "counter",
    daemon: "gossipd",
    metric: "gossipd_udp_received_bytes_total",
  },
  {
    consul: "memberlist.msg.alive",
    kind: "counter",
    daemon: "gossipd",
    metric: "gossipd_alive_messages_total",
  },
  {
    consul: "memberlist.msg.dead",
    kind: "counter",
    daemon: "gossipd",
    metric: "gossipd_dead_messages_total",
  },
  {
    consul: "memberlist.msg.suspect",
    kind: "counter",
    daemon: "gossipd",
    metric: "gossipd_suspect_messages_total",
  },
  { consul: "serf.member.join", kind: "counter", daemon: "gossipd", metric: "gossipd_joins_total" },
  {
    consul: "serf.member.failed",
    kind: "counter",
    daemon: "gossipd",
    metric: "gossipd_failures_total",
  },
  {
    consul: "serf.events",
    kind: "counter",
    daemon: "gossipd",
    metric: "gossipd_user_events_total",
  },
];

/** A metric of a daemon, as its Control service gives it. */
export interface DaemonMetric {
  name: string;
  type: string;
  values: { labels: Record<string, string>; value: number; metricName?: string }[];
}

/** By daemon: its metrics at one moment. */
export type MetricMoment = ReadonlyMap<string, readonly DaemonMetric[]>;

export interface MetricSummary {
  gauges: { name: string; value: number }[];
  counters: { name: string; count: number; sum: number }[];
  samples: { name: string; count: number; sum: number }[];
}

/** What happened between two moments, under Consul's names. Sums over labels: Consul's own labels
 *  differ from ours. */
export function summarise(
  before: MetricMoment,
  after: MetricMoment,
  prefix: string,
  node: string,
): MetricSummary {
  const out: MetricSummary = { gauges: [], counters: [], samples: [] };
  for (const source of metricSources) {
    const now = valuesOf(source, after);
    if (now === undefined) continue;
    const name = `${prefix}.${
      source.kind === "gauge" && node !== "" ? `${node}.` : ""
    }${source.consul}`;
    if (source.kind === "gauge") {
      out.gauges.push({ name, value: now.sum });
      continue;
    }
    const then = valuesOf(source, before) ?? { sum: 0, count: 0 };
    // A restarted daemon counts from zero again.
    const base = now.count < then.count ? { sum: 0, count: 0 } : then;
    const count = now.count - base.count;
    if (count <= 0) continue;
    const scale = source.scale ?? (source.kind === "sample" ? 1000 : 1);
    const sum = (now.sum - base.sum) * scale;
    (source.kind === "sample" ? out.samples : out.counters).push({ name, count, sum });
  }
  return out;
}

function valuesOf(
  source: MetricSource,
  moment: MetricMoment,
): { sum: number; count: number } | undefined {
  const lists = source.daemon === "*" ? [...moment.values()] : [moment.get(source.daemon) ?? []];
  let found = false;
  let sum = 0, count = 0;
  for (const list of lists) {
    const metric = list.find(({ name }) => name === source.metric);
    if (metric === undefined) continue;
    found = true;
    for (const value of metric.values) {
      if (source.kind !== "sample") {
        sum += value.value;
        count += value.value;
      } else if (value.metricName === `${metric.name}_sum`) sum += value.value;
      else if (value.metricName === `${metric.name}_count`) count += value.value;
    }
  }
  return found ? { sum, count } : undefined;
}
