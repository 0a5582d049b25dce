// Roots of the datacenter as they are kept and shown.

import { trustDomain } from "./spiffe.ts";

/** The row as Consul keeps it, without the two indexes. */
export interface CaRoot {
  /** SHA-1 of the certificate. */
  ID: string;
  Name: string;
  /** Up to 64 bits; written as a JSON number. */
  SerialNumber: number;
  /** Key of the certificate that signs leaves. */
  SigningKeyID: string;
  /** The cluster id. */
  ExternalTrustDomain: string;
  NotBefore: string;
  NotAfter: string;
  RootCert: string;
  /** What chains to an older root first; the one that signs leaves last. */
  IntermediateCerts: string[] | null;
  Active: boolean;
  /** When another root took over; Go's zero time before. */
  RotatedOutAt: string;
  PrivateKeyType: string;
  PrivateKeyBits: number;
}

export interface KeptRoot {
  root: CaRoot;
  createIndex: number;
  modifyIndex: number;
}

export const neverRotated = "0001-01-01T00:00:00Z";

export function activeRoot(roots: KeptRoot[]): KeptRoot | undefined {
  return roots.filter(({ root }) => root.Active)
    .sort((a, b) => b.modifyIndex - a.modifyIndex || (a.root.ID < b.root.ID ? -1 : 1))[0];
}

/** Consul's answer of /v1/connect/ca/roots. */
export function rootsBody(clusterId: string, roots: KeptRoot[]): unknown {
  return {
    ActiveRootID: activeRoot(roots)?.root.ID ?? "",
    TrustDomain: trustDomain(clusterId),
    Roots: roots.map(({ root, createIndex, modifyIndex }) => ({
      ID: root.ID,
      Name: root.Name,
      SerialNumber: root.SerialNumber,
      SigningKeyID: root.SigningKeyID,
      ExternalTrustDomain: root.ExternalTrustDomain,
      NotBefore: root.NotBefore,
      NotAfter: root.NotAfter,
      RootCert: root.RootCert,
      IntermediateCerts: root.IntermediateCerts,
      Active: root.Active,
      PrivateKeyType: root.PrivateKeyType,
      PrivateKeyBits: root.PrivateKeyBits,
      CreateIndex: createIndex,
      ModifyIndex: modifyIndex,
    })),
  };
}

/** Each root, then what belongs to it. */
export function rootsPem(roots: KeptRoot[]): string {
  return roots.flatMap(({ root }) => [root.RootCert, ...root.IntermediateCerts ?? []])
    .map((pem) => pem.endsWith("\n") ? pem : `${pem}\n`).join("");
}

/** Roots that nobody needs any more: leaves they signed have expired twice over. */
export function expiredRoots(roots: KeptRoot[], leafTtlMs: number, wallMs: number): KeptRoot[] {
  return roots.filter(({ root }) =>
    !root.Active && root.RotatedOutAt !== neverRotated &&
    wallMs - Date.parse(root.RotatedOutAt) > 2 * leafTtlMs
  );
}
