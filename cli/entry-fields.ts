// The fields of configuration entries: which exist at the top of each kind, and how HCL's blocks
// become the objects and lists of the API.

export type Entry = Record<string, unknown>;

const proxyFields = [
  "Mode",
  "TransparentProxy",
  "MutualTLSMode",
  "MeshGateway",
  "Expose",
  "EnvoyExtensions",
];

const fieldsByKind: Record<string, readonly string[]> = {
  "service-defaults": [
    ...proxyFields,
    "Protocol",
    "ExternalSNI",
    "UpstreamConfig",
    "Destination",
    "MaxInboundConnections",
    "LocalConnectTimeoutMs",
    "LocalRequestTimeoutMs",
    "BalanceInboundConnections",
    "RateLimits",
  ],
  "proxy-defaults": [
    ...proxyFields,
    "Config",
    "Protocol",
    "AccessLogs",
    "FailoverPolicy",
    "PrioritizeByLocality",
  ],
  "service-router": ["Routes"],
  "service-splitter": ["Splits"],
  "service-resolver": [
    "DefaultSubset",
    "Subsets",
    "Redirect",
    "Failover",
    "PrioritizeByLocality",
    "ConnectTimeout",
    "RequestTimeout",
    "LoadBalancer",
  ],
  "ingress-gateway": ["TLS", "Listeners", "Defaults"],
  "terminating-gateway": ["Services"],
  "service-intentions": ["Sources", "JWT"],
  mesh: [
    "TransparentProxy",
    "AllowEnablingPermissiveMutualTLS",
    "TLS",
    "HTTP",
    "Peering",
    "ValidateClusters",
  ],
  "exported-services": ["Services"],
  "sameness-group": ["DefaultForFailover", "IncludeLocal", "Members"],
  "api-gateway": ["Listeners", "Status"],
  "bound-api-gateway": ["Listeners", "Services"],
  "inline-certificate": ["Certificate", "PrivateKey"],
  "file-system-certificate": ["Certificate", "PrivateKey"],
  "http-route": ["Parents", "Rules", "Hostnames", "Status"],
  "tcp-route": ["Parents", "Services", "Status"],
  "jwt-provider": [
    "JSONWebKeySet",
    "Audiences",
    "Issuer",
    "Locations",
    "Forwarding",
    "CacheConfig",
    "ClockSkewSeconds",
  ],
};
const commonFields = [
  "Kind",
  "Name",
  "Namespace",
  "Partition",
  "Meta",
  "CreateIndex",
  "ModifyIndex",
  "Hash",
];

/** Where a list of one object stays a list; everywhere else it is one block. */
const listFields: ReadonlySet<string> = new Set([
  "routes",
  "splits",
  "sources",
  "services",
  "listeners",
  "permissions",
  "header",
  "headers",
  "queryparam",
  "query",
  "members",
  "targets",
  "consumers",
  "overrides",
  "paths",
  "hashpolicies",
  "envoyextensions",
  "parents",
  "rules",
  "matches",
  "certificates",
  "providers",
  "locations",
  "conditions",
  "verifyclaims",
  "addresses",
]);

/** The entry with the API's names at its top; names that its kind does not have are collected. */
export function entryFields(kind: string, given: Entry, unknown: string[]): Entry {
  const known = new Map(
    [...commonFields, ...fieldsByKind[kind] ?? []].map((name) => [normalised(name), name]),
  );
  const entry: Entry = {};
  for (const [name, value] of Object.entries(given)) {
    const field = known.get(normalised(name));
    if (field === undefined) unknown.push(name);
    else entry[field] = unblocked(value, name);
  }
  return entry;
}

function normalised(name: string): string {
  return name.replaceAll("_", "").toLowerCase();
}

function unblocked(value: unknown, name: string): unknown {
  if (Array.isArray(value)) {
    const isBlock = value.length === 1 && typeof value[0] === "object" && value[0] !== null &&
      !Array.isArray(value[0]) && !listFields.has(normalised(name));
    return isBlock ? unblocked(value[0], name) : value.map((item) => unblocked(item, ""));
  }
  if (typeof value !== "object" || value === null) return value;
  return Object.fromEntries(
    Object.entries(value).map(([member, item]) => [member, unblocked(item, member)]),
  );
}
