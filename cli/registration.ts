// A service's definition as the body that registers it.

import type { CheckDefinition, ServiceDefinition } from "#shared/config/definitions.ts";
import { formatDurationMs } from "#shared/consul/duration.ts";
import { keyValues } from "./flags.ts";
import type { Flags } from "./flags.ts";

export interface Registration {
  Name: string;
  [member: string]: unknown;
}

export function registrationOfFlags(flags: Flags): Registration {
  const port = flags.int("port");
  const tagged = Object.entries(keyValues(flags.strings("tagged-address")));
  return {
    ...optional("Kind", flags.string("kind")),
    ...optional("ID", flags.string("id")),
    Name: flags.string("name"),
    ...optional("Address", flags.string("address")),
    ...(port === 0 ? {} : { Port: port }),
    ...optional("SocketPath", flags.string("socket")),
    ...(flags.has("tag") ? { Tags: flags.strings("tag") } : {}),
    ...(flags.has("meta") ? { Meta: keyValues(flags.strings("meta")) } : {}),
    ...(tagged.length === 0 ? {} : {
      TaggedAddresses: Object.fromEntries(
        tagged.map(([tag, text]) => [tag, splitAddress(text, port)]),
      ),
    }),
  };
}

function splitAddress(text: string, port: number): { Address: string; Port: number } {
  const match = /^\[?(.*?)\]?:(\d+)$/.exec(text);
  return match === null
    ? { Address: text, Port: port }
    : { Address: match[1]!, Port: Number(match[2]) };
}

/** A definition of a file as the body of a registration. */
export function registrationOf(service: ServiceDefinition): Registration {
  const tagged = Object.entries(service.taggedAddresses).map(([tag, { address, port }]) =>
    [tag, { Address: address, Port: port }] as const
  );
  return {
    ...optional("Kind", service.kind),
    ...(service.id === service.name ? {} : { ID: service.id }),
    Name: service.name,
    ...(service.tags.length === 0 ? {} : { Tags: service.tags }),
    ...optional("Address", service.address),
    ...(service.port === 0 ? {} : { Port: service.port }),
    ...optional("SocketPath", service.socketPath),
    ...(tagged.length === 0 ? {} : { TaggedAddresses: Object.fromEntries(tagged) }),
    ...(Object.keys(service.meta).length === 0 ? {} : { Meta: service.meta }),
    Weights: { Passing: service.weights.passing, Warning: service.weights.warning },
    ...(service.enableTagOverride ? { EnableTagOverride: true } : {}),
    ...optional("Token", service.token),
    ...(service.locality === null
      ? {}
      : { Locality: { Region: service.locality.region, Zone: service.locality.zone } }),
    ...(service.proxy === null ? {} : { Proxy: service.proxy }),
    ...(service.connect === null ? {} : {
      Connect: {
        Native: service.connect.native,
        ...(service.connect.sidecarService === null
          ? {}
          : { SidecarService: service.connect.sidecarService }),
      },
    }),
    ...(service.checks.length === 0 ? {} : { Checks: service.checks.map(checkBody) }),
  };
}

function checkBody(check: CheckDefinition): Record<string, unknown> {
  const duration = (name: string, ms: number) =>
    optional(name, ms === 0 ? "" : formatDurationMs(ms));
  return {
    ...optional("CheckID", check.id),
    ...optional("Name", check.name),
    ...optional("Notes", check.notes),
    ...optional("Status", check.status),
    ...(check.args.length === 0 ? {} : { ScriptArgs: check.args }),
    ...optional("HTTP", check.http),
    ...optional("Method", check.method),
    ...(Object.keys(check.header).length === 0 ? {} : { Header: check.header }),
    ...optional("Body", check.body),
    ...set("DisableRedirects", check.disableRedirects),
    ...optional("TCP", check.tcp),
    ...set("TCPUseTLS", check.tcpUseTls),
    ...optional("UDP", check.udp),
    ...optional("GRPC", check.grpc),
    ...set("GRPCUseTLS", check.grpcUseTls),
    ...optional("H2PING", check.h2ping),
    ...(check.h2ping === "" ? {} : { H2PingUseTLS: check.h2pingUseTls }),
    ...optional("DockerContainerID", check.dockerContainerId),
    ...optional("Shell", check.shell),
    ...optional("AliasService", check.aliasService),
    ...optional("AliasNode", check.aliasNode),
    ...optional("OSService", check.osService),
    ...optional("TLSServerName", check.tlsServerName),
    ...set("TLSSkipVerify", check.tlsSkipVerify),
    ...duration("Interval", check.intervalMs),
    ...duration("Timeout", check.timeoutMs),
    ...duration("TTL", check.ttlMs),
    ...duration("DeregisterCriticalServiceAfter", check.deregisterCriticalServiceAfterMs),
    ...count("OutputMaxSize", check.outputMaxSize),
    ...count("SuccessBeforePassing", check.successBeforePassing),
    ...count("FailuresBeforeWarning", check.failuresBeforeWarning),
    ...count("FailuresBeforeCritical", check.failuresBeforeCritical),
  };
}

function optional(name: string, text: string): Record<string, string> {
  return text === "" ? {} : { [name]: text };
}

function set(name: string, value: boolean): Record<string, boolean> {
  return value ? { [name]: true } : {};
}

function count(name: string, value: number): Record<string, number> {
  return value === 0 ? {} : { [name]: value };
}
