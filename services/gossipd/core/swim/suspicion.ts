// How long a suspect may still defend itself. Each independent accuser shortens it, with ever smaller
// steps, so that one confused node cannot evict a healthy one (Lifeguard, section IV-B).

export interface Suspicion {
  readonly minMs: number;
  readonly maxMs: number;
  /** How many confirmations bring the timeout down to the minimum. */
  readonly expectedCount: number;
  startedMs: number;
  /** Added because we ourselves were stalled. */
  extendedMs: number;
  readonly accusers: Set<string>;
  /** The timer that ends it; a new one is set on each confirmation. */
  token: number;
}

export function suspicionTimeoutMs(mult: number, nodeCount: number, intervalMs: number): number {
  const scale = Math.max(1, Math.log10(Math.max(1, nodeCount)));
  // memberlist works with whole thousandths here.
  return mult * Math.floor(scale * 1000) * intervalMs / 1000;
}

export function remainingMs(
  confirmations: number,
  expectedCount: number,
  elapsedMs: number,
  minMs: number,
  maxMs: number,
): number {
  if (expectedCount < 1) return minMs - elapsedMs;
  const share = Math.log(confirmations + 1) / Math.log(expectedCount + 1);
  return Math.max(minMs, Math.floor(maxMs - share * (maxMs - minMs))) - elapsedMs;
}

export function startSuspicion(
  from: string,
  nodeCount: number,
  settings: { suspicionMult: number; suspicionMaxTimeoutMult: number; probeIntervalMs: number },
  nowMs: number,
): Suspicion {
  const { suspicionMult, suspicionMaxTimeoutMult, probeIntervalMs } = settings;
  // Two nodes cannot confirm: the suspect and the first accuser.
  const wanted = suspicionMult - 2;
  const minMs = suspicionTimeoutMs(suspicionMult, nodeCount, probeIntervalMs);
  return {
    minMs,
    maxMs: suspicionMaxTimeoutMult * minMs,
    expectedCount: nodeCount - 2 < wanted ? 0 : wanted,
    startedMs: nowMs,
    extendedMs: 0,
    accusers: new Set([from]),
    token: 0,
  };
}

/** True when this accuser is new and still counts. */
export function confirmSuspicion(suspicion: Suspicion, from: string): boolean {
  const { accusers, expectedCount } = suspicion;
  if (accusers.size - 1 >= expectedCount || accusers.has(from)) return false;
  accusers.add(from);
  return true;
}

export function suspicionRemainingMs(suspicion: Suspicion, nowMs: number): number {
  const { accusers, expectedCount, startedMs, minMs, maxMs } = suspicion;
  return remainingMs(accusers.size - 1, expectedCount, nowMs - startedMs, minMs, maxMs);
}
