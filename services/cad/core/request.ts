// What is asked of the CA and what it answers: which identity a request may get, and Consul's JSON
// of the certificate.

import { CuriaError } from "#shared/errors.ts";
import { parseSpiffe, signingFault, trustDomain } from "./spiffe.ts";

export interface Names {
  uris: string[];
  dns: string[];
  ips: string[];
  emails: string[];
}

/** The names to sign. Throws `invalid-argument` for what is not signed. */
export function judgeNames(names: Names, clusterId: string, datacenter: string): Names {
  const [given] = names.uris;
  if (given === undefined || names.uris.length !== 1) {
    throw invalid(`exactly one URI is needed, it has ${names.uris.length}`);
  }
  if (names.emails.length > 0) throw invalid("it must not have e-mail addresses");
  const id = parseSpiffe(given);
  if (id === undefined) throw invalid(`${given} is no identity of the mesh`);
  const fault = signingFault(id, clusterId, datacenter);
  if (fault !== undefined) throw invalid(fault);
  // An agent asks before it knows the trust domain.
  const uri = id.kind === "agent" ? given.replace(id.host, trustDomain(clusterId)) : given;
  return { ...names, uris: [uri] };
}

export function invalid(text: string): CuriaError {
  return new CuriaError("invalid-argument", `invalid CSR: ${text}`);
}

export interface IssuedFacts {
  serialText: string;
  certPem: string;
  uri: string;
  notBeforeMs: number;
  notAfterMs: number;
  index: number;
}

export function issuedBody(issued: IssuedFacts): Record<string, unknown> {
  const { uri, index } = issued;
  const id = parseSpiffe(uri);
  return {
    SerialNumber: issued.serialText,
    CertPEM: issued.certPem,
    ...(id?.kind === "service" ? { Service: id.service, ServiceURI: uri } : {}),
    ...(id?.kind === "agent" ? { Agent: id.node, AgentURI: uri } : {}),
    ...(id?.kind === "mesh-gateway" ? { Kind: id.kind, KindURI: uri } : {}),
    ...(id?.kind === "server" ? { ServerURI: uri } : {}),
    ValidAfter: stamp(issued.notBeforeMs),
    ValidBefore: stamp(issued.notAfterMs),
    CreateIndex: index,
    ModifyIndex: index,
  };
}

/** Whole seconds: certificates know no others. */
export function stamp(wallMs: number): string {
  return new Date(wallMs).toISOString().replace(/\.\d+Z$/, "Z");
}
