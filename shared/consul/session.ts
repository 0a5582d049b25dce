// What a session may look like before anything is asked of the catalog (/v1/session/create).

import { formatDuration, parseDuration } from "./duration.ts";

export interface SessionRules {
  readonly ttlMinNs: bigint;
}

const ttlMaxNs = 24n * 3_600_000_000_000n;

export const defaultSessionRules: SessionRules = { ttlMinNs: 10_000_000_000n };

/** Consul's text for the first fault, or undefined. */
export function sessionFault(
  session: { readonly node: string; readonly behavior: string; readonly ttl: string },
  rules: SessionRules = defaultSessionRules,
): string | undefined {
  if (session.node === "") return "Must provide Node";
  if (!["", "release", "delete"].includes(session.behavior)) {
    return `Invalid Behavior setting '${session.behavior}'`;
  }
  if (session.ttl === "") return undefined;
  let ttlNs: bigint;
  try {
    ttlNs = parseDuration(session.ttl);
  } catch (error) {
    return `Session TTL '${session.ttl}' invalid: ${(error as Error).message}`;
  }
  if (ttlNs !== 0n && (ttlNs < rules.ttlMinNs || ttlNs > ttlMaxNs)) {
    const range = `${formatDuration(rules.ttlMinNs)}=${formatDuration(ttlMaxNs)}`;
    return `Invalid Session TTL '${ttlNs}', must be between [${range}]`;
  }
  return undefined;
}

/** Milliseconds of a session's TTL; 0: it has none (or one that cannot be read). */
export function sessionTtlMs(ttl: string): number {
  if (ttl === "") return 0;
  try {
    return Math.max(0, Number(parseDuration(ttl) / 1_000_000n));
  } catch {
    return 0;
  }
}
