// One catalog registration: a node with at most one service and any checks. Everything that can
// be refused is looked at before the first row is written.

import type { Check, DeregisterCommand, Node, RegisterCommand, Service } from "#proto/messages.js";
import type { Catalog } from "./catalog.ts";
import { completeCheck, validateMeta, validateRegistration } from "./service-rules.ts";
import type { Tables } from "./tables.ts";

/** Consul's text when it is refused. */
export function register(
  command: RegisterCommand,
  tables: Tables,
  catalog: Catalog,
): string | undefined {
  const fault = validateRegistration(command);
  if (fault !== undefined) return fault;
  const node = command.node!;
  const service = command.service === null ? undefined : completeService(command.service, node);
  const checks = command.checks.map((check) => ({
    ...completeCheck(check, node.node),
    peerName: node.peerName,
  }));
  const refused = refusal(command, node, service, checks, tables, catalog);
  if (refused !== undefined) return refused;

  if (changesNode(command, tables)) must(catalog.ensureNode(node));
  if (service !== undefined) must(catalog.ensureService(node.node, service));
  for (const check of checks) must(catalog.ensureCheck(check));
  return undefined;
}

function refusal(
  command: RegisterCommand,
  node: Node,
  service: Service | undefined,
  checks: readonly Check[],
  tables: Tables,
  catalog: Catalog,
): string | undefined {
  for (const check of checks) {
    if (check.serviceId === "" || check.serviceId === service?.id) continue;
    if (tables.services.find(node.peerName, node.node, check.serviceId) === undefined) {
      return `Unknown service ID '${check.serviceId}' for check ID '${check.checkId}'`;
    }
  }
  if (changesNode(command, tables)) {
    const clash = catalog.nodeClash(node);
    if (clash !== undefined) return `failed inserting node: ${clash}`;
  }
  const metaFault = service && validateMeta(service);
  if (service !== undefined && metaFault !== undefined) {
    return `failed inserting service: Invalid Service Meta for node ${node.node} and serviceID ` +
      `${service.id}: ${metaFault}`;
  }
  return undefined;
}

/** With SkipNodeUpdate only a missing node is written. */
function changesNode(command: RegisterCommand, tables: Tables): boolean {
  const node = command.node!;
  if (!command.skipNodeUpdate) return true;
  return tables.nodes.find(node.peerName, node.node) === undefined;
}

function completeService(service: Service, node: Node): Service {
  const id = service.id === "" ? service.service : service.id;
  const weights = service.weights ?? { passing: 1, warning: 1 };
  return { ...service, id, weights, peerName: node.peerName };
}

/** A service alone, else a check alone, else the node with all it carries. What is not there is
 *  gone already. */
export function deregister(command: DeregisterCommand, catalog: Catalog): string | undefined {
  const { node, serviceId, checkId, peerName } = command;
  if (node === "") return "Must provide node";
  if (serviceId !== "") catalog.deleteService(peerName, node, serviceId);
  else if (checkId !== "") catalog.deleteCheck(peerName, node, checkId);
  else catalog.deleteNode(peerName, node);
  return undefined;
}

function must(refused: string | undefined): void {
  if (refused !== undefined) throw new Error(`A checked registration was refused: ${refused}`);
}
