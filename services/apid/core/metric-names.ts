// Consul's metric names and where each comes from: the one table behind /v1/agent/metrics.

export interface MetricSource {
  /** Consul's name, without the prefix. */
  consul: string;
  kind: "gauge" | "counter" | "sample";
  /** The daemon and its metric; samples are histograms in seconds, shown in milliseconds. */
  daemon: string;
  metric: string;
}

export const metricSources: readonly MetricSource[] = [
  row("runtime.alloc_bytes", "gauge", "*", "memory_bytes"),
  row("runtime.sys_bytes", "gauge", "*", "memory_bytes"),
  row("server.isLeader", "gauge", "raftd", "raftd_is_leader"),
  row("raft.appliedIndex", "gauge", "raftd", "raftd_applied_index"),
  row("raft.commitTime", "sample", "raftd", "raftd_log_commit_seconds"),
  row("raft.fsm.apply", "sample", "raftd", "raftd_apply_seconds"),
  row("raft.apply", "counter", "raftd", "raftd_applied_entries_total"),
  row("raft.state.leader", "counter", "raftd", "raftd_leader_changes_total"),
  row("rpc.request", "counter", "raftd", "raftd_bus_calls_total"),
  row("rpc.request_error", "counter", "raftd", "raftd_bus_failures_total"),
  row("rpc.accept_conn", "counter", "raftd", "raftd_bus_connections_opened_total"),
  row("rpc.cross-dc", "counter", "relayd", "relayd_upstream_calls_total"),
  row("rpc.queries_blocking", "gauge", "apid", "apid_blocked_reads"),
  row("api.http", "sample", "apid", "apid_request_seconds"),
  row("client.api.success", "counter", "apid", "apid_requests_total"),
  row("dns.domain_query", "sample", "dnsd", "dnsd_domain_query_seconds"),
  row("dns.ptr_query", "sample", "dnsd", "dnsd_ptr_query_seconds"),
  row("dns.stale_queries", "counter", "dnsd", "dnsd_stale_answers_total"),
  row("memberlist.udp.sent", "counter", "gossipd", "gossipd_lan_bytes_out_total"),
  row("memberlist.udp.received", "counter", "gossipd", "gossipd_lan_bytes_in_total"),
  row("memberlist.tcp.accept", "counter", "gossipd", "gossipd_lan_streams_in_total"),
  row("memberlist.tcp.connect", "counter", "gossipd", "gossipd_lan_streams_out_total"),
  row("memberlist.health.score", "gauge", "gossipd", "gossipd_lan_health_score"),
  row("memberlist.probeNode.failures", "counter", "gossipd", "gossipd_lan_probe_failures_total"),
  row("serf.member.flap", "counter", "gossipd", "gossipd_lan_flaps_total"),
  row("serf.events", "counter", "gossipd", "gossipd_lan_user_events_total"),
  row("serf.queries", "counter", "gossipd", "gossipd_lan_queries_total"),
  row("state.nodes", "gauge", "dnsd", "dnsd_view_nodes"),
  row("state.service_instances", "gauge", "dnsd", "dnsd_view_services"),
  row("ae.sync", "counter", "checkd", "checkd_pushes_total"),
];

function row(
  consul: string,
  kind: MetricSource["kind"],
  daemon: string,
  metric: string,
): MetricSource {
  return { consul, kind, daemon, metric };
}

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
    const scale = source.kind === "sample" ? 1000 : 1;
    const sum = (now.sum - base.sum) * scale;
    (source.kind === "sample" ? out.samples : out.counters).push({ name, count, sum });
  }
  return out;
}

function valuesOf(
  source: MetricSource,
  moment: MetricMoment,
): { sum: number; count: number } | undefined {
  const isMeant = (daemon: string) =>
    source.daemon === "*" || daemon === source.daemon || daemon.startsWith(`${source.daemon}.`);
  const lists = [...moment].filter(([daemon]) => isMeant(daemon)).map(([, list]) => list);
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
