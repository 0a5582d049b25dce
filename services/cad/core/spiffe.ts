// Names in certificates of the mesh (SPIFFE), in Consul's grammar.

export type SpiffeId =
  | {
    kind: "service";
    host: string;
    partition: string;
    namespace: string;
    datacenter: string;
    service: string;
  }
  | { kind: "agent"; host: string; datacenter: string; node: string }
  | { kind: "mesh-gateway"; host: string; datacenter: string }
  | { kind: "server"; host: string; datacenter: string }
  | { kind: "signing"; host: string };

export function trustDomain(clusterId: string): string {
  return `${clusterId}.consul`.toLowerCase();
}

export function signingUri(clusterId: string): string {
  return `spiffe://${trustDomain(clusterId)}`;
}

export function serviceUri(clusterId: string, datacenter: string, service: string): string {
  return `spiffe://${trustDomain(clusterId)}/ns/default/dc/${datacenter}/svc/${service}`;
}

const part = "([^/]+)";
const patterns: [RegExp, (host: string, parts: string[]) => SpiffeId][] = [
  [
    new RegExp(`^(?:/ap/${part})?/ns/${part}/dc/${part}/svc/${part}$`),
    (host, [partition = "", namespace = "", datacenter = "", service = ""]) => ({
      kind: "service",
      host,
      partition: partition || "default",
      namespace,
      datacenter,
      service,
    }),
  ],
  [
    new RegExp(`^(?:/ap/${part})?/agent/client/dc/${part}/id/${part}$`),
    (host, [, datacenter = "", node = ""]) => ({ kind: "agent", host, datacenter, node }),
  ],
  [
    new RegExp(`^(?:/ap/${part})?/gateway/mesh/dc/${part}$`),
    (host, [, datacenter = ""]) => ({ kind: "mesh-gateway", host, datacenter }),
  ],
  [
    new RegExp(`^/agent/server/dc/${part}$`),
    (host, [datacenter = ""]) => ({ kind: "server", host, datacenter }),
  ],
];

/** Undefined: not an identity of the mesh. */
export function parseSpiffe(uri: string): SpiffeId | undefined {
  const found = /^spiffe:\/\/([^/?#]*)([^?#]*)$/.exec(uri);
  if (found === null) return undefined;
  const [, host = "", path = ""] = found;
  for (const [pattern, make] of patterns) {
    const matched = pattern.exec(path);
    if (matched === null) continue;
    const parts = matched.slice(1).map((text) => text === undefined ? "" : decode(text));
    return parts.includes(undefined) ? undefined : make(host, parts as string[]);
  }
  return path === "" && host.includes(".") ? { kind: "signing", host } : undefined;
}

function decode(text: string): string | undefined {
  try {
    return decodeURIComponent(text);
  } catch {
    return undefined;
  }
}

/** What speaks against signing this identity; undefined: nothing. */
export function signingFault(
  id: SpiffeId,
  clusterId: string,
  datacenter: string,
): string | undefined {
  const domain = trustDomain(clusterId);
  if (id.kind === "signing") return "SPIFFE ID in CSR must be a service, mesh-gateway, or agent ID";
  if (id.host.toLowerCase() !== domain && id.kind !== "agent") {
    return `SPIFFE ID in CSR from a different trust domain: ${id.host}, we are ${domain}`;
  }
  if (id.datacenter !== datacenter) {
    return `SPIFFE ID in CSR from a different datacenter: ${id.datacenter}, we are ${datacenter}`;
  }
  return undefined;
}
