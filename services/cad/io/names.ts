// Names that need chance: of clusters and of roots.

import type { CaSettings } from "../core/ca-config.ts";
import { trustDomain } from "../core/spiffe.ts";
import { colons } from "./x509-text.ts";

export function makeUuid(): string {
  return crypto.randomUUID();
}

/** 64 random bits in base 36, cut to 8. */
export function nameSeed(): string {
  const [bits] = crypto.getRandomValues(new BigUint64Array(1));
  return bits!.toString(36).slice(0, 8);
}

export function commonName(clusterId: string, seed: string): string {
  return `pri-${seed}.consul.ca.${trustDomain(clusterId).slice(0, 8)}.consul`;
}

/** Changes exactly when a new root is needed. */
export function providerId(settings: CaSettings): string {
  const { privateKey, rootCert, keyType, keyBits } = settings;
  const text = `${privateKey},${rootCert},${keyType},${keyBits},true`;
  return colons(new Bun.CryptoHasher("sha256").update(text).digest());
}
