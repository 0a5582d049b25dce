// Services and checks of configuration files to their full form.

import type { CheckDefinition, ServiceDefinition } from "../definitions.ts";
import type { Settings } from "../decode.ts";
import type { SettingsReader } from "../reader.ts";
import { ConfigRefusal } from "../source.ts";
import { refuseCheck } from "./check-rules.ts";
import { refuseMetadata } from "./metadata.ts";

const weightMax = 65535;

export function buildServices(read: SettingsReader): ServiceDefinition[] {
  return (read.optional<Settings[]>("services") ?? []).map((given) => buildService(read, given));
}

export function buildChecks(read: SettingsReader): CheckDefinition[] {
  return (read.optional<Settings[]>("checks") ?? []).map((given) => {
    const check = buildCheck(read, given, "check");
    const complaint = refuseCheck(check);
    if (complaint !== undefined) {
      throw new ConfigRefusal(`check ${JSON.stringify(check.name)}: ${complaint}`);
    }
    return check;
  });
}

function buildService(read: SettingsReader, given: Settings): ServiceDefinition {
  const get = <T>(name: string, fallback: T): T => (given.get(name) as T | undefined) ?? fallback;
  const name = get("name", "");
  const single = given.get("check") as Settings | undefined;
  const checks = [...get<Settings[]>("checks", []), ...(single === undefined ? [] : [single])];
  const region = get("locality.region", "");
  const zone = get("locality.zone", "");
  const hasConnect = given.has("connect.native") || given.has("connect.sidecar_service");
  const service: ServiceDefinition = {
    id: get("id", "") || name,
    name,
    kind: get("kind", ""),
    tags: get("tags", []),
    address: get("address", ""),
    port: get("port", 0),
    socketPath: get("socket_path", ""),
    taggedAddresses: taggedAddresses(get("tagged_addresses", {})),
    meta: get("meta", {}),
    weights: { passing: get("weights.passing", 1), warning: get("weights.warning", 1) },
    enableTagOverride: get("enable_tag_override", false),
    token: get("token", ""),
    checks: checks.map((check) => buildCheck(read, check, `service[${name}].check`)),
    locality: region === "" && zone === "" ? null : { region, zone },
    proxy: get("proxy", null),
    connect: hasConnect
      ? {
        native: get("connect.native", false),
        sidecarService: get("connect.sidecar_service", null),
      }
      : null,
  };
  refuseService(read, service);
  return service;
}

function refuseService(read: SettingsReader, service: ServiceDefinition): void {
  const { name, weights } = service;
  const metaComplaint = refuseMetadata(service.meta);
  if (metaComplaint !== undefined) {
    read.errors.push(`invalid meta for service ${name}: ${metaComplaint}`);
  }
  const weightComplaint = weights.passing < 1
    ? "Passing must be greater than 0"
    : weights.warning < 0
    ? "Warning must be greater or equal than 0"
    : weights.passing > weightMax || weights.warning > weightMax
    ? "Weight must be less than or equal to 65535"
    : undefined;
  if (weightComplaint !== undefined) {
    read.errors.push(`Invalid weight definition for service ${name}: ${weightComplaint}`);
  }
  if (service.socketPath !== "" && (service.address !== "" || service.port !== 0)) {
    read.errors.push(
      `service ${name} cannot have both socket path ${service.socketPath} and address/port`,
    );
  }
  for (const check of service.checks) {
    const complaint = refuseCheck(check);
    if (complaint === undefined) continue;
    const place = `service ${JSON.stringify(name)}: check ${JSON.stringify(check.name)}`;
    throw new ConfigRefusal(`${place}: ${complaint}`);
  }
}

function taggedAddresses(given: Record<string, unknown>): ServiceDefinition["taggedAddresses"] {
  const tagged: ServiceDefinition["taggedAddresses"] = {};
  for (const [tag, value] of Object.entries(given)) {
    const { address, port } = value as { address?: unknown; port?: unknown };
    tagged[tag] = {
      address: typeof address === "string" ? address : "",
      port: typeof port === "number" ? port : 0,
    };
  }
  return tagged;
}

function buildCheck(read: SettingsReader, given: Settings, place: string): CheckDefinition {
  const get = <T>(name: string, fallback: T): T => (given.get(name) as T | undefined) ?? fallback;
  const text = (name: string) => get(name, "");
  const flag = (name: string) => get(name, false);
  const count = (name: string) => get(name, 0);
  const ms = (name: string) =>
    given.has(name) ? read.durationMs(`${place}[${text("name")}].${name}`, text(name)) : 0;
  const failuresBeforeCritical = count("failures_before_critical");
  return {
    id: text("id"),
    name: text("name"),
    notes: text("notes"),
    serviceId: text("service_id"),
    token: text("token"),
    status: text("status"),
    args: get("args", []),
    http: text("http"),
    method: text("method"),
    header: get("header", {}),
    body: text("body"),
    disableRedirects: flag("disable_redirects"),
    tcp: text("tcp"),
    tcpUseTls: flag("tcp_use_tls"),
    udp: text("udp"),
    grpc: text("grpc"),
    grpcUseTls: flag("grpc_use_tls"),
    h2ping: text("h2ping"),
    h2pingUseTls: get("h2ping_use_tls", true),
    dockerContainerId: text("docker_container_id"),
    shell: text("shell"),
    aliasService: text("alias_service"),
    aliasNode: text("alias_node"),
    osService: text("os_service"),
    tlsServerName: text("tls_server_name"),
    tlsSkipVerify: flag("tls_skip_verify"),
    intervalMs: ms("interval"),
    timeoutMs: ms("timeout"),
    ttlMs: ms("ttl"),
    outputMaxSize: count("output_max_size"),
    successBeforePassing: count("success_before_passing"),
    failuresBeforeWarning: get("failures_before_warning", failuresBeforeCritical),
    failuresBeforeCritical,
    deregisterCriticalServiceAfterMs: ms("deregister_critical_service_after"),
  };
}
