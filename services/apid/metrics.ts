// Every metric that apid has.

import type { Metrics } from "#shared/metrics.ts";
import type { ListenerCounts } from "./io/listener.ts";
import type { HotReads } from "./io/reads/hot-reads.ts";
import type { Reads } from "./io/reads/reads.ts";

export interface ApidMetrics {
  answered(status: number): void;
  /** Requests that were not answered from kept bytes; a blocked read counts its wait. */
  took(seconds: number): void;
}

export function declareMetrics(
  metrics: Metrics,
  listener: ListenerCounts,
  reads: Reads,
  hot: HotReads,
): ApidMetrics {
  const requests = metrics.counters("apid_requests_total", "Requests answered, by status class.");
  const classes = [1, 2, 3, 4, 5].map((digit) => requests.with({ class: `${digit}xx` }));
  const counted = (name: string, help: string, read: () => number) =>
    metrics.observed(name, help, "counter", read);
  const measured = (name: string, help: string, read: () => number) =>
    metrics.observed(name, help, "gauge", read);
  counted("apid_connections_total", "Connections accepted.", () => listener.connections);
  counted(
    "apid_connections_refused_total",
    "Connections refused for a client that has too many.",
    () => listener.connectionsRefused,
  );
  counted("apid_malformed_requests_total", "Requests that were no HTTP.", () => listener.malformed);
  counted("apid_hot_reads_total", "Reads answered from kept bytes, unparsed.", () => hot.hits);
  counted("apid_kept_reads_total", "Reads answered from kept bytes.", () => reads.counts.hits);
  counted("apid_refreshed_reads_total", "Kept reads read anew.", () => reads.counts.refreshes);
  counted(
    "apid_asked_reads_total",
    "Reads asked of the state, not kept.",
    () => reads.counts.misses,
  );
  counted("apid_confirms_total", "Confirmations asked for.", () => reads.hub.counts.confirms);
  counted("apid_watch_resyncs_total", "Watches lost at once.", () => reads.hub.counts.resyncs);
  measured("apid_kept_reads", "Reads kept as bytes.", () => reads.cache.size);
  measured("apid_kept_read_bytes", "Bytes of kept reads.", () => reads.cache.bytes);
  measured("apid_blocked_reads", "Blocking reads that wait.", () => reads.counts.blocked);
  measured("apid_watches", "Queries watched.", () => reads.hub.watchCount);
  const took = metrics.histogram("apid_request_seconds", "How long cold requests took.");
  return {
    answered: (status) => classes[Math.floor(status / 100) - 1]?.add(),
    took: (seconds) => took.observe(seconds),
  };
}
