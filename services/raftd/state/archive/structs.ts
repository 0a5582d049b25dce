// Fields of nested Go structs with their zero values: what the API leaves out and a snapshot has.

import type { Json, JsonObject } from "./forms.ts";

const meshGateway: JsonObject = { Mode: "" };

const upstream: JsonObject = {
  CentrallyConfigured: false,
  Config: null,
  Datacenter: "",
  DestinationName: "",
  DestinationNamespace: "",
  DestinationPartition: "",
  DestinationPeer: "",
  DestinationType: "",
  IngressHosts: null,
  LocalBindAddress: "",
  LocalBindPort: 0,
  LocalBindSocketMode: "",
  LocalBindSocketPath: "",
  MeshGateway: meshGateway,
};

const proxy: JsonObject = {
  AccessLogs: {
    DisableListenerLogs: false,
    Enabled: false,
    JSONFormat: "",
    Path: "",
    TextFormat: "",
    Type: "",
  },
  Config: null,
  DestinationServiceID: "",
  DestinationServiceName: "",
  EnvoyExtensions: null,
  Expose: { Checks: false, Paths: null },
  LocalServiceAddress: "",
  LocalServicePort: 0,
  LocalServiceSocketPath: "",
  MeshGateway: meshGateway,
  Mode: "",
  MutualTLSMode: "",
  TransparentProxy: { DialedDirectly: false, OutboundListenerPort: 0 },
  Upstreams: null,
};

const exposedPath: JsonObject = {
  ListenerPort: 0,
  LocalPathPort: 0,
  ParsedFromCheck: false,
  Path: "",
  Protocol: "",
};

const definition: JsonObject = {
  AliasNode: "",
  AliasService: "",
  Body: "",
  DeregisterCriticalServiceAfter: "0s",
  DisableRedirects: false,
  DockerContainerID: "",
  GRPC: "",
  GRPCUseTLS: false,
  H2PING: "",
  H2PingUseTLS: false,
  HTTP: "",
  Header: null,
  Interval: "0s",
  Method: "",
  OSService: "",
  OutputMaxSize: 0,
  ScriptArgs: null,
  Shell: "",
  TCP: "",
  TCPUseTLS: false,
  TLSServerName: "",
  TLSSkipVerify: false,
  TTL: 0,
  Timeout: "0s",
  UDP: "",
};

export function proxyConfig(found: JsonObject): JsonObject {
  const full = filled(proxy, found);
  if (Array.isArray(full.Upstreams)) {
    full.Upstreams = full.Upstreams.map((each) => filled(upstream, each as JsonObject));
  }
  const expose = full.Expose as JsonObject;
  if (Array.isArray(expose.Paths)) {
    expose.Paths = expose.Paths.map((each) => filled(exposedPath, each as JsonObject));
  }
  return full;
}

export function checkDefinition(found: JsonObject): JsonObject {
  return filled(definition, found);
}

/** Zero values under what is there; objects within are filled too. */
function filled(zero: JsonObject, found: JsonObject): JsonObject {
  const full: JsonObject = { ...zero, ...found };
  for (const [key, value] of Object.entries(zero)) {
    if (isObject(value)) full[key] = filled(value, isObject(found[key]) ? found[key] : {});
  }
  return full;
}

function isObject(value: Json | undefined): value is JsonObject {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
