// Service and check registrations of the agent's own API (spec: http-api 5.3, 5.4), turned into
// what checkd takes. checkd decides whether they make sense.

import type { CheckDefinitionInput, RegisterServiceRequestInput } from "#proto/messages.js";
import {
  bool,
  duration,
  type Fields,
  fromJson,
  int,
  list,
  map,
  object,
  type Schema,
  text,
} from "../json-schema.ts";
import type { JsonValue } from "../json-reader.ts";
import { connectSchema, serviceRow } from "./catalog.ts";
import { proxySchema } from "./proxy.ts";

const checkFields: Record<string, Schema> = {
  CheckID: text,
  Name: text,
  Status: text,
  Notes: text,
  ScriptArgs: list(text),
  HTTP: text,
  H2PING: text,
  H2PingUseTLS: bool,
  Header: map(list(text)),
  Method: text,
  Body: text,
  DisableRedirects: bool,
  TCP: text,
  TCPUseTLS: bool,
  UDP: text,
  Interval: duration,
  DockerContainerID: text,
  Shell: text,
  GRPC: text,
  GRPCUseTLS: bool,
  OSService: text,
  TLSServerName: text,
  TLSSkipVerify: bool,
  AliasNode: text,
  AliasService: text,
  Timeout: duration,
  TTL: duration,
  SuccessBeforePassing: int,
  FailuresBeforeWarning: int,
  FailuresBeforeCritical: int,
  DeregisterCriticalServiceAfter: duration,
  OutputMaxSize: int,
};
const checkAliases: Record<string, string> = {
  args: "ScriptArgs",
  script_args: "ScriptArgs",
  deregister_critical_service_after: "DeregisterCriticalServiceAfter",
  docker_container_id: "DockerContainerID",
  tls_server_name: "TLSServerName",
  tls_skip_verify: "TLSSkipVerify",
  tcp_use_tls: "TCPUseTLS",
  grpc_use_tls: "GRPCUseTLS",
  h2ping_use_tls: "H2PingUseTLS",
};

/** A check that came with its service. */
const checkTypeSchema: Schema = object("CheckType", {
  fields: { ...checkFields, ProxyHTTP: text, ProxyGRPC: text },
  aliases: checkAliases,
  ignored: ["Token"],
});

/** A check that was registered by itself. */
export const checkDefinitionSchema: Schema = object("CheckDefinition", {
  fields: { ...checkFields, ID: text, ServiceID: text, Token: text },
  aliases: { ...checkAliases, service_id: "ServiceID", disable_redirects: "DisableRedirects" },
});

const address = object("ServiceAddress", { fields: { Address: text, Port: int } });

export const serviceDefinitionSchema: Schema = object("ServiceDefinition", {
  fields: {
    Kind: text,
    ID: text,
    Name: text,
    Tags: list(text),
    Address: text,
    TaggedAddresses: map(address),
    Meta: map(text),
    Port: int,
    SocketPath: text,
    Check: checkTypeSchema,
    Checks: list(checkTypeSchema),
    Weights: object("Weights", { fields: { Passing: int, Warning: int } }),
    Token: text,
    EnableTagOverride: bool,
    Proxy: proxySchema,
    Connect: connectSchema,
    Locality: object("Locality", { fields: { Region: text, Zone: text } }),
  },
  aliases: { enable_tag_override: "EnableTagOverride", tagged_addresses: "TaggedAddresses" },
});

const str = (value: unknown): string => (value ?? "") as string;
const num = (value: unknown): number => (value ?? 0) as number;
/** Nanoseconds as the bus has them; beyond 2^53 (104 days) precision does not matter. */
const nanos = (value: unknown): number => Math.max(0, Number((value ?? 0n) as bigint));

export function checkDefinition(fields: Fields): CheckDefinitionInput {
  const header: Record<string, { values: string[] }> = {};
  for (const [name, values] of Object.entries((fields.Header ?? {}) as Record<string, string[]>)) {
    header[name] = { values };
  }
  return {
    id: str(fields.ID) || str(fields.CheckID),
    name: str(fields.Name),
    notes: str(fields.Notes),
    serviceId: str(fields.ServiceID),
    status: str(fields.Status),
    token: str(fields.Token),
    http: str(fields.HTTP),
    method: str(fields.Method),
    header,
    body: str(fields.Body),
    disableRedirects: fields.DisableRedirects === true,
    tcp: str(fields.TCP),
    tcpUseTls: fields.TCPUseTLS === true,
    udp: str(fields.UDP),
    grpc: str(fields.GRPC),
    grpcUseTls: fields.GRPCUseTLS === true,
    h2ping: str(fields.H2PING),
    h2pingUseTls: fields.H2PingUseTLS !== false,
    scriptArgs: (fields.ScriptArgs ?? []) as string[],
    dockerContainerId: str(fields.DockerContainerID),
    shell: str(fields.Shell),
    aliasNode: str(fields.AliasNode),
    aliasService: str(fields.AliasService),
    osService: str(fields.OSService),
    tlsServerName: str(fields.TLSServerName),
    tlsSkipVerify: fields.TLSSkipVerify === true,
    intervalNs: nanos(fields.Interval),
    timeoutNs: nanos(fields.Timeout),
    ttlNs: nanos(fields.TTL),
    deregisterCriticalServiceAfterNs: nanos(fields.DeregisterCriticalServiceAfter),
    outputMaxSize: num(fields.OutputMaxSize),
    successBeforePassing: num(fields.SuccessBeforePassing),
    failuresBeforeWarning: num(fields.FailuresBeforeWarning),
    failuresBeforeCritical: num(fields.FailuresBeforeCritical),
  };
}

/** A registration; a sidecar nested in it is one of its own. */
export function serviceRegistration(fields: Fields): RegisterServiceRequestInput {
  const connect = fields.Connect as Fields | undefined;
  const nested = connect?.SidecarService as JsonValue | undefined;
  const checks = [
    ...(fields.Check === undefined ? [] : [fields.Check as Fields]),
    ...((fields.Checks ?? []) as Fields[]),
  ];
  return {
    service: serviceRow({ ...fields, Service: fields.Name }),
    checks: checks.map(checkDefinition),
    token: str(fields.Token),
    sidecar: nested === undefined || nested === null
      ? null
      : serviceRegistration(fromJson(nested, serviceDefinitionSchema)),
  };
}
