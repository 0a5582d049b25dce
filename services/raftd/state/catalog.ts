// Rules that span the tables of the catalog: what a registration changes and what goes with a row
// that is removed (Consul: agent/consul/state catalog). Methods answer with Consul's text when they
// refuse; then nothing was written.

import type { Check, Node, Service } from "#proto/messages.js";
import { indexName } from "./indexes.ts";
import type { Journal } from "./journal.ts";
import { quote } from "./keys.ts";
import type { SessionEnd } from "./session-end.ts";
import { validateMeta } from "./service-rules.ts";
import type { Tables } from "./tables.ts";
import { meshName } from "./tables/services.ts";
import type { VirtualIps } from "./virtual-ips.ts";
import { watchKey } from "./watch-keys.ts";

export const missingNode = "Missing node registration";
export const missingService = "Missing service registration";

const serfCheck = "serfHealth";

export class Catalog {
  readonly #tables: Tables;
  readonly #sessionEnd: SessionEnd;
  readonly #virtualIps: VirtualIps;
  readonly #journal: Journal;

  constructor(tables: Tables, sessionEnd: SessionEnd, virtualIps: VirtualIps, journal: Journal) {
    this.#tables = tables;
    this.#sessionEnd = sessionEnd;
    this.#virtualIps = virtualIps;
    this.#journal = journal;
  }

  /** Why the node may not be written: its name belongs to a live node with another ID. */
  nodeClash(node: Node): string | undefined {
    if (node.id === "") return undefined;
    const { nodes } = this.#tables;
    const sameId = nodes.findById(node.peerName, node.id);
    if (sameId !== undefined && sameId.node === node.node) return undefined;
    const holder = nodes.similar(node);
    if (holder === undefined) return undefined;
    const mayTakeNameless = sameId === undefined;
    if (mayTakeNameless && holder.id === "") return undefined;
    const health = this.#tables.checks.find(holder.peerName, holder.node, serfCheck);
    if (health === undefined || health.status === "critical") return undefined;
    const reserved = `Node name ${node.node} is reserved by node ${holder.id} with name ` +
      `${holder.node} (${holder.address})`;
    return sameId === undefined
      ? `Error while renaming Node ID: ${quote(node.id)}: ${reserved}`
      : `Error while renaming Node ID: ${quote(node.id)} (${node.address}): ${reserved}`;
  }

  /** A known ID under another name renames: the old name goes, with its services and checks. */
  ensureNode(node: Node): string | undefined {
    const clash = this.nodeClash(node);
    if (clash !== undefined) return clash;
    const { nodes } = this.#tables;
    const sameId = node.id === "" ? undefined : nodes.findById(node.peerName, node.id);
    const isRename = sameId !== undefined &&
      sameId.node.toLowerCase() !== node.node.toLowerCase();
    if (isRename) this.deleteNode(sameId.peerName, sameId.node);
    const old = nodes.find(node.peerName, node.node);
    if (!nodes.put(node, old, sameId?.createIndex ?? old?.createIndex)) return undefined;
    nodes.touch(node.peerName, node.node, true);
    for (const service of this.#tables.services.ofNode(node.peerName, node.node)) {
      this.#tables.services.touch(service, true);
    }
    return undefined;
  }

  ensureService(nodeName: string, service: Service): string | undefined {
    const { nodes, services } = this.#tables;
    const metaError = validateMeta(service);
    if (metaError !== undefined) {
      return `Invalid Service Meta for node ${nodeName} and serviceID ${service.id}: ${metaError}`;
    }
    const { peerName: peer } = service;
    const node = nodes.find(peer, nodeName);
    if (node === undefined) return missingNode;
    const old = services.find(peer, nodeName, service.id);
    const wanted = this.#virtualIps.assign(service);
    if (!services.put(node.node, wanted, old)) return undefined;
    if (old !== undefined && old.service !== service.service) this.#leaveName(old);
    services.touchTable(peer);
    services.touch(wanted, true);
    if (old !== undefined && meshName(old) !== meshName(wanted)) {
      this.#journal.touch(watchKey.mesh(peer, meshName(old)));
    }
    nodes.touch(peer, node.node, false);
    this.#journal.touch(watchKey.services());
    return undefined;
  }

  ensureCheck(draft: Check): string | undefined {
    const { nodes, services, checks } = this.#tables;
    const { peerName: peer } = draft;
    const node = nodes.find(peer, draft.node);
    if (node === undefined) return missingNode;
    const status = draft.status === "" ? "critical" : draft.status;
    const check: Check = { ...draft, node: node.node, status, serviceName: "", serviceTags: [] };
    let service: Service | undefined;
    if (check.serviceId !== "") {
      service = services.find(peer, draft.node, check.serviceId);
      if (service === undefined) return missingService;
      check.serviceName = service.service;
      check.serviceTags = service.tags;
    }
    const old = checks.find(peer, draft.node, check.checkId);
    // Also when nothing else changes: a session made on a failing check must not live.
    if (status === "critical" && peer === "") {
      this.#sessionEnd.destroyOfCheck(draft.node, check.checkId);
    }
    if (old !== undefined && checks.isSame(check, old)) return undefined;
    checks.put(check, old);
    if (service !== undefined) services.touch(service, false);
    if (service === undefined || (old !== undefined && old.serviceId !== check.serviceId)) {
      this.#touchServicesOf(peer, node.node);
    }
    return undefined;
  }

  deleteNode(peer: string, name: string): void {
    const { nodes, services, checks, coordinates } = this.#tables;
    const node = nodes.find(peer, name);
    if (node === undefined) return;
    for (const service of services.ofNode(peer, name)) this.deleteService(peer, name, service.id);
    for (const check of checks.ofNode(peer, name)) this.deleteCheck(peer, name, check.checkId);
    if (peer === "") coordinates.removeNode(name);
    nodes.remove(node);
    const { index, indexes } = this.#journal;
    nodes.touch(peer, node.node, true);
    indexes.remove(indexName.node(peer, node.node));
    indexes.raise(indexName.nodeExtinction(peer), index);
    if (peer === "") this.#sessionEnd.destroyOfNode(name);
  }

  deleteService(peer: string, nodeName: string, id: string): void {
    const { nodes, services, checks } = this.#tables;
    const service = services.find(peer, nodeName, id);
    if (service === undefined) return;
    for (const check of checks.ofInstance(peer, nodeName, id)) {
      this.deleteCheck(peer, nodeName, check.checkId);
    }
    services.remove(service);
    services.touchTable(peer);
    nodes.touch(peer, nodeName, false);
    this.#journal.touch(watchKey.services());
    services.touch(service, true);
    this.#leaveName(service);
  }

  deleteCheck(peer: string, nodeName: string, id: string): void {
    const { services, checks } = this.#tables;
    const check = checks.find(peer, nodeName, id);
    if (check === undefined) return;
    if (check.serviceId === "") {
      this.#touchServicesOf(peer, nodeName);
      services.touchTable(peer);
    } else {
      const service = services.find(peer, nodeName, check.serviceId);
      if (service !== undefined) services.touch(service, false);
    }
    checks.remove(check);
    if (peer === "") this.#sessionEnd.destroyOfCheck(nodeName, id);
  }

  /** An instance of this name went; with the last one goes the index of the service. */
  #leaveName(service: Service): void {
    const { services } = this.#tables;
    const { peerName: peer, service: name } = service;
    const { index, indexes } = this.#journal;
    this.#journal.touch(watchKey.instances(peer, name));
    this.#journal.touch(watchKey.health(peer, name));
    if (services.hasName(peer, name)) {
      indexes.raise(indexName.service(peer, name), index);
      return;
    }
    indexes.remove(indexName.service(peer, name));
    indexes.raise(indexName.serviceExtinction(peer), index);
    this.#virtualIps.release(peer, name);
  }

  #touchServicesOf(peer: string, nodeName: string): void {
    const { services } = this.#tables;
    for (const service of services.ofNode(peer, nodeName)) services.touch(service, false);
  }
}
