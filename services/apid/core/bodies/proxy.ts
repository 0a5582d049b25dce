// A proxy's settings, as registrations give them and as rows show them. On the bus they are JSON
// with Consul's field names, zero values left out (proto/catalog.proto).

import {
  any,
  bool,
  type Fields,
  fromJson,
  int,
  isZero,
  list,
  object,
  type Schema,
  text,
} from "../json-schema.ts";
import { JsonNumber, JsonObject, type JsonValue, readJson } from "../json-reader.ts";
import { type Json, type JsonFields, Raw, writeJson } from "../json-writer.ts";

const snake = (names: string): Record<string, string> =>
  Object.fromEntries(
    names.split(" ").map((name) => [
      name.replace(/([a-z0-9])([A-Z])/g, "$1_$2").toLowerCase(),
      name,
    ]),
  );

const meshGateway = object("MeshGatewayConfig", { fields: { Mode: text } });
const accessLogs = object("AccessLogsConfig", {
  fields: {
    Enabled: bool,
    DisableListenerLogs: bool,
    Type: text,
    Path: text,
    JSONFormat: text,
    TextFormat: text,
  },
});
const transparentProxy = object("TransparentProxyConfig", {
  fields: { OutboundListenerPort: int, DialedDirectly: bool },
  aliases: snake("OutboundListenerPort DialedDirectly"),
});
const exposePath = object("ExposePath", {
  fields: {
    ListenerPort: int,
    Path: text,
    LocalPathPort: int,
    Protocol: text,
    ParsedFromCheck: bool,
  },
  aliases: snake("ListenerPort LocalPathPort ParsedFromCheck"),
});
const expose = object("ExposeConfig", { fields: { Checks: bool, Paths: list(exposePath) } });
const upstream = object("Upstream", {
  fields: {
    DestinationType: text,
    DestinationNamespace: text,
    DestinationPartition: text,
    DestinationPeer: text,
    DestinationName: text,
    Datacenter: text,
    LocalBindAddress: text,
    LocalBindPort: int,
    LocalBindSocketPath: text,
    LocalBindSocketMode: text,
    Config: any,
    MeshGateway: meshGateway,
    IngressHosts: list(text),
  },
  aliases: snake(
    "DestinationType DestinationNamespace DestinationPartition DestinationPeer DestinationName " +
      "LocalBindAddress LocalBindPort LocalBindSocketPath LocalBindSocketMode MeshGateway",
  ),
});
const extension = object("EnvoyExtension", {
  fields: { Name: text, Required: bool, Arguments: any, ConsulVersion: text, EnvoyVersion: text },
});

export const proxySchema: Schema = object("ConnectProxyConfig", {
  fields: {
    DestinationServiceName: text,
    DestinationServiceID: text,
    LocalServiceAddress: text,
    LocalServicePort: int,
    LocalServiceSocketPath: text,
    Mode: text,
    Config: any,
    Upstreams: list(upstream),
    MeshGateway: meshGateway,
    Expose: expose,
    TransparentProxy: transparentProxy,
    EnvoyExtensions: list(extension),
    AccessLogs: accessLogs,
    MutualTLSMode: text,
  },
  aliases: {
    ...snake(
      "DestinationServiceName LocalServiceAddress LocalServicePort LocalServiceSocketPath " +
        "MeshGateway TransparentProxy AccessLogs EnvoyExtensions",
    ),
    destination_service_id: "DestinationServiceID",
    mutual_tls_mode: "MutualTLSMode",
  },
});

/** The bytes that travel on the bus; empty when nothing is set. */
export function encodeProxy(fields: Fields | undefined): Uint8Array {
  const kept = fields === undefined ? undefined : prune(fields);
  return kept === undefined ? new Uint8Array(0) : Buffer.from(writeJson(kept));
}

/** What has a value, as JSON; undefined when nothing does. */
export function prune(value: unknown): JsonFields | undefined {
  const out: Record<string, Json> = {};
  for (const [key, item] of Object.entries(value as Fields)) {
    const json = pruned(item);
    if (json !== undefined) out[key] = json;
  }
  return Object.keys(out).length === 0 ? undefined : out;
}

function pruned(item: unknown): Json {
  if (isZero(item)) return undefined;
  if (item instanceof JsonObject) return item.pairs.length === 0 ? undefined : toJson(item);
  if (item instanceof JsonNumber) return new Raw(item.text);
  if (Array.isArray(item)) return item.map((entry) => pruned(entry) ?? {});
  if (typeof item === "object") return prune(item);
  return item as Json;
}

/** A value as it was read, ready to be written again; maps come out sorted. */
export function toJson(value: JsonValue): Json {
  if (value instanceof JsonNumber) return new Raw(value.text);
  if (value instanceof JsonObject) {
    return new Map(value.pairs.map(([key, item]) => [key, toJson(item)]));
  }
  if (Array.isArray(value)) return value.map(toJson);
  return value;
}

export function decodeProxy(bytes: Uint8Array): Fields {
  return fromJson(readJson(Buffer.from(bytes).toString("utf8")), proxySchema);
}

/** `catalog`: as catalog and health rows show it; `agent`: as agent/services does. */
export type ProxyForm = "catalog" | "agent";

const emptyProxy: JsonFields = { Mode: "", MeshGateway: {}, Expose: {} };

export function renderProxy(bytes: Uint8Array, form: ProxyForm): JsonFields {
  if (bytes.length === 0) return emptyProxy;
  const proxy = decodeProxy(bytes);
  return {
    DestinationServiceName: omit(proxy.DestinationServiceName),
    DestinationServiceID: omit(proxy.DestinationServiceID),
    LocalServiceAddress: omit(proxy.LocalServiceAddress),
    LocalServicePort: omit(proxy.LocalServicePort),
    LocalServiceSocketPath: omit(proxy.LocalServiceSocketPath),
    Mode: form === "agent" ? omit(proxy.Mode) : (proxy.Mode ?? "") as string,
    Config: omit(proxy.Config),
    Upstreams: renderUpstreams(proxy.Upstreams as Fields[] | undefined, form),
    MeshGateway: prune(proxy.MeshGateway ?? {}) ?? {},
    Expose: prune(proxy.Expose ?? {}) ?? {},
    TransparentProxy: omit(proxy.TransparentProxy),
    EnvoyExtensions: omit(proxy.EnvoyExtensions),
    AccessLogs: omit(proxy.AccessLogs),
    MutualTLSMode: omit(proxy.MutualTLSMode),
  };
}

function renderUpstreams(upstreams: Fields[] | undefined, form: ProxyForm): Json {
  if (upstreams === undefined || upstreams.length === 0) return undefined;
  const shown = (value: unknown) => form === "agent" ? omit(value) : (value ?? "") as string;
  return upstreams.map((one) => ({
    DestinationType: form === "agent"
      ? (one.DestinationType as string | undefined) || "service"
      : shown(one.DestinationType),
    DestinationNamespace: omit(one.DestinationNamespace),
    DestinationPartition: omit(one.DestinationPartition),
    DestinationPeer: omit(one.DestinationPeer),
    DestinationName: (one.DestinationName ?? "") as string,
    Datacenter: shown(one.Datacenter),
    LocalBindAddress: omit(one.LocalBindAddress),
    LocalBindPort: omit(one.LocalBindPort),
    LocalBindSocketPath: omit(one.LocalBindSocketPath),
    LocalBindSocketMode: omit(one.LocalBindSocketMode),
    Config: omit(one.Config),
    MeshGateway: prune(one.MeshGateway ?? {}) ?? {},
  }));
}

function omit(value: unknown): Json {
  return pruned(value);
}
