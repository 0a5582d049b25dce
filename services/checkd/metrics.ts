// What checkd counts.

import type { Metrics } from "#shared/metrics.ts";
import type { LocalState } from "./core/local-state.ts";

export type CheckdMetrics = ReturnType<typeof declareMetrics>;

export function declareMetrics(metrics: Metrics, local: LocalState) {
  metrics.observed("checkd_services", "Services declared on this node.", "gauge", () => {
    return local.services.size;
  });
  metrics.observed("checkd_checks", "Checks declared on this node.", "gauge", () => {
    return local.checks.size;
  });
  metrics.observed(
    "checkd_unsynced_rows",
    "Services and checks whose last change the catalog does not have yet.",
    "gauge",
    () =>
      local.dirtyServices.size + local.dirtyChecks.size + local.goneServices.size +
      local.goneChecks.size,
  );
  return {
    probes: metrics.counters("checkd_probes_total", "Runs of checks, by kind and result."),
    probeSeconds: metrics.histograms("checkd_probe_seconds", "How long runs of checks took."),
    pushSeconds: metrics.histogram("checkd_push_seconds", "How long pushes to the catalog took."),
    pushes: metrics.counters("checkd_pushes_total", "Pushes to the catalog, by result."),
    comparisons: metrics.counter(
      "checkd_comparisons_total",
      "Comparisons of everything declared with the catalog.",
    ),
    blocked: metrics.counters(
      "checkd_acl_blocked_total",
      "Rows that the ACLs keep out of the catalog, by kind and act.",
    ),
    reaped: metrics.counter(
      "checkd_reaped_total",
      "Services deregistered for being critical too long.",
    ),
    storeFailures: metrics.counter(
      "checkd_store_failures_total",
      "Registrations that could not be written to disk.",
    ),
  };
}
