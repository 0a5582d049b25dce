// Every metric of dnsd. Consul's `dns.domain_query` and `dns.ptr_query` are made of the two
// histograms.

import type { Metrics } from "#shared/metrics.ts";
import type { DnsCounts } from "./io/counts.ts";

const rcodeNames = ["noerror", "formerr", "servfail", "nxdomain", "notimp", "refused"];

const observed: [string, string, (counts: DnsCounts) => number][] = [
  ["dnsd_udp_queries_total", "Datagrams that arrived.", (counts) => counts.udpQueries],
  ["dnsd_tcp_queries_total", "Messages that arrived over TCP.", (counts) => counts.tcpQueries],
  ["dnsd_known_answers_total", "Answers made from a template.", (counts) => counts.known],
  [
    "dnsd_stale_answers_total",
    "Answers given while the feeding server's leader was silent for 5 s.",
    (counts) => counts.stale,
  ],
  [
    "dnsd_dropped_replies_total",
    "Messages left unanswered: replies, or less than a header.",
    (counts) => counts.notAQuery,
  ],
  [
    "dnsd_unpackable_total",
    "Questions left unanswered because the answer has no wire form.",
    (counts) => counts.noWireForm,
  ],
  ["dnsd_send_errors_total", "Sends that failed and were repeated.", (counts) => counts.sendErrors],
  [
    "dnsd_unsent_total",
    "Replies given up because they could not be sent.",
    (counts) => counts.unsent,
  ],
  [
    "dnsd_overloads_total",
    "Questions refused because too many waited for others.",
    (counts) => counts.overloaded,
  ],
  ["dnsd_tcp_connections_total", "Connections accepted.", (counts) => counts.tcpConnections],
  ["dnsd_tcp_refused_total", "Connections above the limit.", (counts) => counts.tcpRefused],
  ["dnsd_tcp_timeouts_total", "Connections closed for silence.", (counts) => counts.tcpTimedOut],
  ["dnsd_tcp_broken_total", "Connections that failed.", (counts) => counts.tcpBroken],
  ["dnsd_forwarded_total", "Questions handed to recursors.", (counts) => counts.forwarded],
  [
    "dnsd_recursor_failures_total",
    "Exchanges with a recursor without a reply.",
    (counts) => counts.recursorFailures,
  ],
  ["dnsd_fetches_total", "Lookups in other datacenters.", (counts) => counts.fetches],
  ["dnsd_fetch_failures_total", "Such lookups that failed.", (counts) => counts.fetchFailures],
];

export function declareMetrics(metrics: Metrics, counts: DnsCounts) {
  for (const [name, help, read] of observed) {
    metrics.observed(name, help, "counter", () => read(counts));
  }
  const answers = metrics.counters("dnsd_answers_total", "Replies, by their code.");
  for (const [rcode, name] of rcodeNames.entries()) {
    counts.answers[rcode] = answers.with({ rcode: name });
  }
  return {
    domainSeconds: metrics.histogram(
      "dnsd_domain_query_seconds",
      "How long answers took, recursion included.",
    ),
    reverseSeconds: metrics.histogram(
      "dnsd_ptr_query_seconds",
      "How long answers to reverse questions took.",
    ),
  };
}

/** Numbers that are read when they are asked for. */
export interface Observed {
  cached(): number;
  waiting(): number;
  tcpConnections(): number;
  viewSilentSeconds(): number;
  nodes(): number;
  services(): number;
}

export function observe(metrics: Metrics, source: Observed): void {
  const gauge = (name: string, help: string, read: () => number) =>
    metrics.observed(name, help, "gauge", read);
  gauge("dnsd_cached_answers", "Templates held.", () => source.cached());
  gauge("dnsd_waiting_questions", "Questions that wait for others.", () => source.waiting());
  gauge("dnsd_tcp_open_connections", "Connections open.", () => source.tcpConnections());
  gauge(
    "dnsd_view_silent_seconds",
    "How long the view has heard nothing from its server.",
    () => source.viewSilentSeconds(),
  );
  gauge("dnsd_view_nodes", "Nodes in the view.", () => source.nodes());
  gauge("dnsd_view_services", "Instances in the view.", () => source.services());
}
