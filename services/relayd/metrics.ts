// Every metric of relayd beside those of the bus.

import type { Metrics } from "#shared/metrics.ts";
import type { RelayLoop } from "./io/loop.ts";

export function declareMetrics(metrics: Metrics, loop: RelayLoop): void {
  const { counts } = loop;
  const datacenters = () => loop.servers.datacenters();
  metrics.observed(
    "relayd_servers",
    "Servers known in all datacenters.",
    "gauge",
    () => datacenters().reduce((sum, datacenter) => sum + loop.servers.of(datacenter).length, 0),
  );
  metrics.observed("relayd_datacenters", "Datacenters known.", "gauge", () => datacenters().length);
  metrics.observed("relayd_links", "Open connections to servers.", "gauge", () => loop.openLinks);
  metrics.observed(
    "relayd_moves_total",
    "Callers moved to another server by rebalancing.",
    "counter",
    () => loop.moves,
  );
  metrics.observed(
    "relayd_upstream_calls_total",
    "Calls sent to servers.",
    "counter",
    () => counts.calls,
  );
  metrics.observed(
    "relayd_upstream_connections_total",
    "Connections made to servers.",
    "counter",
    () => counts.connectionsOpened,
  );
}
