// A check definition as the JSON object of Consul's API and of its files.

import type { CheckDefinition } from "#shared/config/definitions.ts";
import { msToNs, nsToMs, parseDuration } from "#shared/consul/duration.ts";
import { emptyCheck } from "./model.ts";

type Json = Record<string, unknown>;

/** Field of the definition → Consul's name, by how it is written. */
const textFields = {
  id: "CheckID",
  name: "Name",
  status: "Status",
  notes: "Notes",
  http: "HTTP",
  method: "Method",
  body: "Body",
  tcp: "TCP",
  udp: "UDP",
  grpc: "GRPC",
  h2ping: "H2PING",
  osService: "OSService",
  tlsServerName: "TLSServerName",
  aliasNode: "AliasNode",
  aliasService: "AliasService",
  dockerContainerId: "DockerContainerID",
  shell: "Shell",
} as const;
const flagFields = {
  disableRedirects: "DisableRedirects",
  tcpUseTls: "TCPUseTLS",
  grpcUseTls: "GRPCUseTLS",
  h2pingUseTls: "H2PingUseTLS",
  tlsSkipVerify: "TLSSkipVerify",
} as const;
const numberFields = {
  outputMaxSize: "OutputMaxSize",
  successBeforePassing: "SuccessBeforePassing",
  failuresBeforeWarning: "FailuresBeforeWarning",
  failuresBeforeCritical: "FailuresBeforeCritical",
} as const;
const durationFields = {
  intervalMs: "Interval",
  timeoutMs: "Timeout",
  ttlMs: "TTL",
  deregisterCriticalServiceAfterMs: "DeregisterCriticalServiceAfter",
} as const;

export function checkToJson(definition: CheckDefinition): Json {
  const file: Json = { ScriptArgs: definition.args, Header: definition.header };
  const plain = { ...textFields, ...flagFields, ...numberFields };
  for (const [field, name] of Object.entries(plain)) {
    file[name] = definition[field as keyof typeof plain];
  }
  for (const [field, name] of Object.entries(durationFields)) {
    file[name] = Number(msToNs(definition[field as keyof typeof durationFields]));
  }
  return file;
}

/** Durations may be Go's text or nanoseconds. Throws DurationError. */
export function checkFromJson(file: Json): CheckDefinition {
  const definition: CheckDefinition = {
    ...emptyCheck(),
    args: strings(file.ScriptArgs),
    header: (object(file.Header) ?? {}) as Record<string, string[]>,
  };
  for (const [field, name] of Object.entries(textFields)) {
    definition[field as keyof typeof textFields] = string(file[name]);
  }
  for (const [field, name] of Object.entries(flagFields)) {
    if (name in file) definition[field as keyof typeof flagFields] = file[name] === true;
  }
  for (const [field, name] of Object.entries(numberFields)) {
    definition[field as keyof typeof numberFields] = Number(file[name] ?? 0);
  }
  for (const [field, name] of Object.entries(durationFields)) {
    definition[field as keyof typeof durationFields] = readDurationMs(file[name]);
  }
  return definition;
}

function readDurationMs(value: unknown): number {
  if (typeof value === "string" && value !== "") return nsToMs(parseDuration(value));
  return typeof value === "number" ? value / 1e6 : 0;
}

function string(value: unknown): string {
  return typeof value === "string" ? value : "";
}

function strings(value: unknown): string[] {
  return Array.isArray(value) ? value.map(String) : [];
}

function object(value: unknown): Json | undefined {
  return value !== null && typeof value === "object" && !Array.isArray(value)
    ? value as Json
    : undefined;
}
