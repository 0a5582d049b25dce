// From what was asked for to the rows that are kept: validation in Consul's order, check ids and
// names, sidecars. Nothing is changed before all of a registration was found valid.

import type { CheckDefinition } from "#shared/config/definitions.ts";
import { formatDurationMs } from "#shared/consul/duration.ts";
import { CuriaError } from "#shared/errors.ts";
import { checkFault, refuseUnrunnable, type ScriptPermission, typeOf } from "./check-rules.ts";
import type { LocalState } from "./local-state.ts";
import type { CheckRow, ServiceRegistration, ServiceRow, Source } from "./model.ts";
import { isStatus, nodeMaintenance, serviceMaintenance } from "./model.ts";
import { refuseInvalidService, withDefaults } from "./service-rules.ts";
import { expandSidecar, type PortRange } from "./sidecar.ts";

export interface RegistrationRules extends ScriptPermission {
  sidecarPorts: PortRange;
}

/** A service with its checks as rows, ready to be kept. */
export interface PreparedService {
  row: ServiceRow;
  token: string;
  checks: PreparedCheck[];
  sidecar: PreparedService | null;
}

export interface PreparedCheck {
  row: CheckRow;
  definition: CheckDefinition | null;
  token: string;
}

export function prepareService(
  registration: ServiceRegistration,
  source: Source,
  local: LocalState,
  rules: RegistrationRules,
): PreparedService {
  refuseInvalidService(registration.service);
  refuseInvalidChecks(registration.checks);
  const row = withDefaults(registration.service);
  let sidecar: PreparedService | null = null;
  if (registration.sidecar !== null) {
    const expanded = expandSidecar(
      row,
      registration.token,
      registration.sidecar,
      local,
      rules.sidecarPorts,
    );
    sidecar = prepareService(expanded, source, local, rules);
  }
  for (const check of registration.checks) refuseUnrunnable(check, source, rules);
  const checks = registration.checks.map((definition, i) => ({
    row: serviceCheckRow(row, definition, i, registration.checks.length, local),
    definition,
    token: definition.token || registration.token,
  }));
  return { row, token: registration.token, checks, sidecar };
}

function refuseInvalidChecks(checks: CheckDefinition[]): void {
  for (const check of checks) {
    const fault = checkFault(check);
    if (fault !== undefined) throw invalid(`Invalid check: ${fault}`);
    if (check.status !== "" && !isStatus(check.status)) {
      throw invalid("Status for checks must 'passing', 'warning', 'critical'");
    }
  }
}

function serviceCheckRow(
  service: ServiceRow,
  definition: CheckDefinition,
  index: number,
  count: number,
  local: LocalState,
): CheckRow {
  const checkId = definition.id ||
    (count > 1 ? `service:${service.id}:${index + 1}` : `service:${service.id}`);
  const before = local.checks.get(checkId)?.row;
  return {
    checkId,
    name: definition.name || `Service '${service.service}' check`,
    status: before?.status ?? (definition.status || "critical"),
    notes: definition.notes,
    output: before?.output ?? "",
    serviceId: service.id,
    serviceName: service.service,
    serviceTags: service.tags,
    type: typeOf(definition),
    interval: definition.intervalMs > 0 ? formatDurationMs(definition.intervalMs) : "",
    timeout: definition.timeoutMs > 0 ? formatDurationMs(definition.timeoutMs) : "",
  };
}

/** A check that was declared on its own, of the node or of a service that exists. */
export function prepareCheck(
  definition: CheckDefinition,
  token: string,
  source: Source,
  local: LocalState,
  rules: ScriptPermission,
): PreparedCheck {
  if (definition.name === "") throw invalid("Missing check name");
  if (definition.status !== "" && !isStatus(definition.status)) throw invalid("Bad check status");
  const fault = checkFault(definition);
  if (fault !== undefined) throw invalid(`Invalid check: ${fault}`);
  const service = local.services.get(definition.serviceId)?.row;
  if (definition.serviceId !== "" && service === undefined) {
    throw new CuriaError("not-found", `ServiceID "${definition.serviceId}" does not exist`);
  }
  refuseUnrunnable(definition, source, rules);
  const checkId = definition.id || definition.name;
  const before = local.checks.get(checkId)?.row;
  const row: CheckRow = {
    checkId,
    name: definition.name,
    status: before?.status ?? (definition.status || "critical"),
    notes: definition.notes,
    output: before?.output ?? "",
    serviceId: definition.serviceId,
    serviceName: service?.service ?? "",
    serviceTags: service?.tags ?? [],
    type: typeOf(definition),
    interval: formatDurationMs(definition.intervalMs),
    timeout: formatDurationMs(definition.timeoutMs),
  };
  return { row, definition, token: token || definition.token };
}

/** The check that stands for maintenance; "" is the node's. */
export function maintenanceCheck(
  service: ServiceRow | null,
  reason: string,
): CheckRow {
  const what = service === null ? "node" : "service";
  return {
    checkId: service === null ? nodeMaintenance : serviceMaintenance(service.id),
    name: service === null ? "Node Maintenance Mode" : "Service Maintenance Mode",
    status: "critical",
    notes: reason ||
      `Maintenance mode is enabled for this ${what}, but no reason was provided. ` +
        "This is a default message.",
    output: "",
    serviceId: service?.id ?? "",
    serviceName: service?.service ?? "",
    serviceTags: service?.tags ?? [],
    type: "maintenance",
    interval: "",
    timeout: "",
  };
}

export function unknownService(id: string): CuriaError {
  return new CuriaError(
    "not-found",
    `Unknown service ID "${id}". Ensure that the service ID is passed, not the service name.`,
  );
}

export function unknownCheck(id: string): CuriaError {
  return new CuriaError(
    "not-found",
    `Unknown check ID "${id}". Ensure that the check ID is passed, not the check name.`,
  );
}

function invalid(text: string): CuriaError {
  return new CuriaError("invalid-argument", text);
}
