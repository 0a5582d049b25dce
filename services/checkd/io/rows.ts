// Rows and definitions between the bus (proto/catalog.proto, proto/checkd.proto) and the core.

import type {
  Check,
  CheckDefinition as CheckMessage,
  CheckDefinitionInput,
  CheckInput,
  CommandInput,
  Node,
  NodeInput,
  RegisterServiceRequest,
  Service,
  ServiceInput,
} from "#proto/messages.js";
import type { CheckDefinition } from "#shared/config/definitions.ts";
import type { CheckRow, NodeRow, ServiceRegistration, ServiceRow } from "../core/model.ts";
import { emptyCheck, emptyService } from "../core/model.ts";
import type { CatalogCommand } from "../core/push.ts";

const utf8 = new TextDecoder();
const bytesOf = (text: string) => Buffer.from(text);

export function nodeMessage(row: NodeRow): NodeInput {
  return {
    id: row.id,
    node: row.node,
    address: row.address,
    datacenter: row.datacenter,
    taggedAddresses: row.taggedAddresses,
    meta: row.meta,
    localityJson: bytesOf(row.localityJson),
    hasTaggedAddresses: true,
    hasMeta: true,
  };
}

export function nodeRow(node: Node): NodeRow {
  return {
    id: node.id,
    node: node.node,
    address: node.address,
    datacenter: node.datacenter,
    taggedAddresses: node.taggedAddresses,
    meta: node.meta,
    localityJson: utf8.decode(node.localityJson),
  };
}

export function serviceMessage(row: ServiceRow): ServiceInput {
  const { proxyJson, connectJson, localityJson, ...plain } = row;
  return {
    ...plain,
    proxyJson: bytesOf(proxyJson),
    connectJson: bytesOf(connectJson),
    localityJson: bytesOf(localityJson),
    hasMeta: true,
    hasTags: true,
  };
}

export function serviceRow(service: Service): ServiceRow {
  return {
    kind: service.kind,
    id: service.id,
    service: service.service,
    tags: service.tags,
    address: service.address,
    port: service.port,
    socketPath: service.socketPath,
    taggedAddresses: service.taggedAddresses,
    meta: service.meta,
    weights: service.weights ?? { passing: 1, warning: 1 },
    enableTagOverride: service.enableTagOverride,
    proxyJson: utf8.decode(service.proxyJson),
    connectJson: utf8.decode(service.connectJson),
    localityJson: utf8.decode(service.localityJson),
  };
}

export function checkMessage(row: CheckRow, node: string): CheckInput {
  return { ...row, node };
}

export function checkRow(check: Check): CheckRow {
  return {
    checkId: check.checkId,
    name: check.name,
    status: check.status,
    notes: check.notes,
    output: check.output,
    serviceId: check.serviceId,
    serviceName: check.serviceName,
    serviceTags: check.serviceTags,
    type: check.type,
    interval: check.interval,
    timeout: check.timeout,
  };
}

export function commandMessage(command: CatalogCommand, node: string): CommandInput {
  switch (command.kind) {
    case "register":
      return {
        register: {
          node: nodeMessage(command.node),
          service: command.service === null ? null : serviceMessage(command.service),
          checks: command.checks.map((row) => checkMessage(row, node)),
          skipNodeUpdate: command.skipNodeUpdate,
        },
      };
    case "deregister-service":
      return { deregister: { node, serviceId: command.serviceId } };
    case "deregister-check":
      return { deregister: { node, checkId: command.checkId } };
  }
}

export function registrationOf(request: RegisterServiceRequest): ServiceRegistration {
  return {
    service: request.service === null ? emptyService() : serviceRow(request.service),
    checks: request.checks.map(definitionOf),
    token: request.token,
    sidecar: request.sidecar === null ? null : registrationOf(request.sidecar),
  };
}

export function definitionOf(message: CheckMessage | null): CheckDefinition {
  if (message === null) return emptyCheck();
  const header = Object.entries(message.header).map(([name, list]) => [name, list.values]);
  const { scriptArgs, intervalNs, timeoutNs, ttlNs, ...rest } = message;
  const { deregisterCriticalServiceAfterNs, ...plain } = rest;
  return {
    ...plain,
    header: Object.fromEntries(header) as Record<string, string[]>,
    args: scriptArgs,
    intervalMs: intervalNs / 1e6,
    timeoutMs: timeoutNs / 1e6,
    ttlMs: ttlNs / 1e6,
    deregisterCriticalServiceAfterMs: deregisterCriticalServiceAfterNs / 1e6,
  };
}

export function definitionMessage(definition: CheckDefinition): CheckDefinitionInput {
  const { args, intervalMs, timeoutMs, ttlMs, header, ...rest } = definition;
  const { deregisterCriticalServiceAfterMs, ...plain } = rest;
  const lists = Object.entries(header).map(([name, values]) => [name, { values }]);
  return {
    ...plain,
    token: "",
    header: Object.fromEntries(lists) as Record<string, { values: string[] }>,
    scriptArgs: args,
    intervalNs: Math.round(intervalMs * 1e6),
    timeoutNs: Math.round(timeoutMs * 1e6),
    ttlNs: Math.round(ttlMs * 1e6),
    deregisterCriticalServiceAfterNs: Math.round(deregisterCriticalServiceAfterMs * 1e6),
  };
}
