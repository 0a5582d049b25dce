// Makes a root: its key (or the operator's), its certificate, and the rows that keep both.

import type { CaSettings } from "../core/ca-config.ts";
import { stamp } from "../core/request.ts";
import { type CaRoot, neverRotated } from "../core/roots.ts";
import { signingUri } from "../core/spiffe.ts";
import type { X509 } from "./x509-link.ts";
import { commonName, nameSeed, providerId } from "./names.ts";

/** A row of kind ca-provider-state. */
export interface ProviderState {
  ID: string;
  PrivateKey: string;
  RootCert: string;
  IntermediateCert: string;
}

export async function makeCaRoot(
  x509: X509,
  clusterId: string,
  settings: CaSettings,
  serial: number,
  nowMs: number,
): Promise<{ root: CaRoot; state: ProviderState }> {
  const PrivateKey = settings.privateKey ||
    await x509.generateKey(settings.keyType, settings.keyBits);
  const RootCert = settings.rootCert || await x509.makeRoot(
    PrivateKey,
    commonName(clusterId, nameSeed()),
    signingUri(clusterId),
    serial,
    { notBeforeMs: nowMs, notAfterMs: nowMs + settings.rootTtlMs },
  );
  const facts = await x509.certificateFacts(RootCert);
  const root: CaRoot = {
    ID: facts.fingerprint,
    Name: "Consul CA Primary Cert",
    // Serials of a root that was given may be longer than a number can tell.
    SerialNumber: Number(BigInt.asUintN(53, facts.serial)),
    SigningKeyID: facts.keyId,
    ExternalTrustDomain: clusterId,
    NotBefore: stamp(facts.notBefore.getTime()),
    NotAfter: stamp(facts.notAfter.getTime()),
    RootCert,
    IntermediateCerts: null,
    Active: true,
    RotatedOutAt: neverRotated,
    PrivateKeyType: settings.keyType,
    PrivateKeyBits: settings.keyBits,
  };
  return { root, state: { ID: providerId(settings), PrivateKey, RootCert, IntermediateCert: "" } };
}
