// Services that were critical for longer than their checks allow
// (deregister_critical_service_after).

import type { LocalState } from "./local-state.ts";

export interface Due {
  serviceId: string;
  checkId: string;
}

/** Each service once, with the check that gave the reason. */
export function dueServices(local: LocalState, afterMinMs: number, nowMs: number): Due[] {
  const due = new Map<string, Due>();
  for (const { row, definition, criticalSinceMs } of local.checks.values()) {
    const afterMs = definition?.deregisterCriticalServiceAfterMs ?? 0;
    if (afterMs === 0 || criticalSinceMs === undefined) continue;
    if (nowMs - criticalSinceMs <= Math.max(afterMs, afterMinMs)) continue;
    if (due.has(row.serviceId) || !local.services.has(row.serviceId)) continue;
    due.set(row.serviceId, { serviceId: row.serviceId, checkId: row.checkId });
  }
  return [...due.values()];
}
