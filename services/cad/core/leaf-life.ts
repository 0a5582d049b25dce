// When a leaf is renewed: spread over the later part of its life, so that many leaves made at once
// are not renewed at once (Consul, 60 to 90 % of the lifetime).

import type { Random } from "#shared/random.ts";

export interface Validity {
  afterMs: number;
  beforeMs: number;
}

const soonMs = 10 * 60_000;
const earliest = 0.6;
const latest = 0.9;

/** The instant of renewal, on the same clock as the validity. */
export function renewalAtMs(validity: Validity, nowMs: number, random: Random): number {
  const lifeMs = validity.beforeMs - validity.afterMs;
  if (lifeMs < soonMs) return nowMs;
  const fromMs = Math.max(nowMs, validity.afterMs + lifeMs * earliest);
  const toMs = validity.afterMs + lifeMs * latest;
  return toMs <= fromMs ? nowMs : random.between(fromMs, toMs);
}

const rootChangeSpreadMs = 30_000;

/** A new root makes all leaves of the datacenter old at the same moment. */
export function rootChangeDelayMs(random: Random): number {
  return random.between(0, rootChangeSpreadMs);
}

const retryFirstMs = 1_000;
const retryMostMs = 60_000;

export function retryDelayMs(failures: number, random: Random): number {
  const mostMs = Math.min(retryFirstMs * 2 ** Math.min(failures, 10), retryMostMs);
  return random.between(mostMs / 2, mostMs);
}
