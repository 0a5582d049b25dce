// The hash that names a configuration.

import type { EffectiveConfig } from "./types.ts";

/** The configuration with its hash filled in. */
export function seal(config: EffectiveConfig): EffectiveConfig {
  const text = canonicalJson({ ...config, hash: "" });
  return { ...config, hash: new Bun.CryptoHasher("sha256").update(text).digest("hex") };
}

/** JSON with the members of every object in order of their names. */
export function canonicalJson(value: unknown): string {
  return JSON.stringify(value, (_, member: unknown) => {
    if (typeof member !== "object" || member === null || Array.isArray(member)) return member;
    const entries = Object.entries(member).sort(([a], [b]) => a < b ? -1 : a > b ? 1 : 0);
    return Object.fromEntries(entries);
  });
}
