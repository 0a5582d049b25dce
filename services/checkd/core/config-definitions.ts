// Services and checks of the configuration files, in the form in which the API registers them.

import type { CheckDefinition, ServiceDefinition } from "#shared/config/definitions.ts";
import { checkFromJson } from "./check-json.ts";
import type { CheckEntry, LocalState } from "./local-state.ts";
import type { ServiceRegistration } from "./model.ts";
import { emptyService } from "./model.ts";

export interface ConfigDefinitions {
  services: ServiceDefinition[];
  checks: CheckDefinition[];
}

export function registrationOf(definition: ServiceDefinition): ServiceRegistration {
  const sidecar = definition.connect?.sidecarService ?? null;
  return {
    service: {
      kind: definition.kind,
      id: definition.id,
      service: definition.name,
      tags: definition.tags,
      address: definition.address,
      port: definition.port,
      socketPath: definition.socketPath,
      taggedAddresses: definition.taggedAddresses,
      meta: definition.meta,
      weights: definition.weights,
      enableTagOverride: definition.enableTagOverride,
      proxyJson: definition.proxy === null ? "" : JSON.stringify(definition.proxy),
      connectJson: definition.connect?.native ? '{"Native":true}' : "",
      localityJson: definition.locality === null
        ? ""
        : JSON.stringify({ Region: definition.locality.region, Zone: definition.locality.zone }),
    },
    checks: definition.checks,
    token: definition.token,
    sidecar: sidecar === null ? null : sidecarOf(sidecar),
  };
}

/** A sidecar block, whose keys are as Consul's API writes them. */
function sidecarOf(block: Record<string, unknown>): ServiceRegistration {
  const text = (key: string) => typeof block[key] === "string" ? block[key] : "";
  const number = (key: string) => typeof block[key] === "number" ? block[key] : 0;
  const object = (key: string) => (block[key] ?? null) as Record<string, unknown> | null;
  const weights = object("Weights");
  const connect = object("Connect");
  const checks = [block.Check, ...(Array.isArray(block.Checks) ? block.Checks : [])]
    .filter((check) => check !== undefined && check !== null);
  return {
    service: {
      ...emptyService(),
      kind: text("Kind"),
      id: text("ID"),
      service: text("Name"),
      tags: Array.isArray(block.Tags) ? block.Tags.map(String) : [],
      address: text("Address"),
      port: number("Port"),
      socketPath: text("SocketPath"),
      meta: (object("Meta") ?? {}) as Record<string, string>,
      weights: weights === null
        ? { passing: 1, warning: 1 }
        : { passing: Number(weights.Passing ?? 1), warning: Number(weights.Warning ?? 1) },
      enableTagOverride: block.EnableTagOverride === true,
      proxyJson: object("Proxy") === null ? "" : JSON.stringify(object("Proxy")),
    },
    checks: checks.map((check) => checkFromJson(check as Record<string, unknown>)),
    token: text("Token"),
    sidecar: connect?.SidecarService ? sidecarOf({}) : null,
  };
}

/** What earlier configuration declared and the new one does not. */
export function leftovers(
  local: LocalState,
  before: ConfigDefinitions,
  after: ConfigDefinitions,
): { services: string[]; checks: CheckEntry[] } {
  const kept = new Set(after.services.map((service) => service.id));
  const services = before.services.map((service) => service.id)
    .filter((id) => !kept.has(id) && local.services.get(id)?.source === "local");
  const declared = new Set(checkIds(after));
  const gone = new Set(services);
  const checks = checkIds(before).filter((id) => !declared.has(id))
    .map((id) => local.checks.get(id))
    .filter((entry) => entry !== undefined && entry.source === "local")
    .filter((entry) => !gone.has(entry!.row.serviceId));
  return { services, checks: checks as CheckEntry[] };
}

function checkIds(definitions: ConfigDefinitions): string[] {
  const ofServices = definitions.services.flatMap((service) =>
    service.checks.map((check, i) => check.id || serviceCheckId(service, i))
  );
  return [...ofServices, ...definitions.checks.map((check) => check.id || check.name)];
}

function serviceCheckId(service: ServiceDefinition, index: number): string {
  return service.checks.length > 1 ? `service:${service.id}:${index + 1}` : `service:${service.id}`;
}
