// What cad counts.

import type { Metrics } from "#shared/metrics.ts";
import type { Leaves } from "./io/leaves.ts";
import type { RootsFeed } from "./io/roots-feed.ts";

export type CadMetrics = ReturnType<typeof declareMetrics>;

export function declareMetrics(metrics: Metrics) {
  return {
    signs: metrics.counters("cad_signs_total", "Certificates asked for, by result."),
    signSeconds: metrics.histogram("cad_sign_seconds", "How long a signature took."),
  };
}

export function declareGauges(metrics: Metrics, leaves: Leaves, roots: RootsFeed): void {
  metrics.observed("cad_leaves", "Leaf certificates kept for this node.", "gauge", () => {
    return leaves.count;
  });
  metrics.observed("cad_roots", "Roots that the datacenter trusts.", "gauge", () => {
    return roots.roots.length;
  });
  metrics.observed(
    "cad_root_expiry_seconds",
    "Seconds until the active root expires; 0: there is none.",
    "gauge",
    () => {
      const active = roots.roots.find(({ root }) => root.Active);
      if (active === undefined) return 0;
      return Math.max(0, (Date.parse(active.root.NotAfter) - Date.now()) / 1000);
    },
  );
}
