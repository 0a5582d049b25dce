// The catalog of one datacenter in memory, kept row by row, with the indexes that DNS asks for and
// version counters that tell a cached answer when it is out of date.

import type { CheckRow, Instance, NodeRow, ServiceRow } from "./view.ts";
import { addressKeys, connectedService, Index } from "./catalog-index.ts";
import { Versions } from "./versions.ts";

interface NodeEntry {
  row: NodeRow | undefined;
  services: Map<string, ServiceRow>;
  checks: Map<string, CheckRow>;
}

/** Row keys: peer, then names; NUL cannot be in either. */
function keyOf(peer: string, name: string): string {
  return `${peer}\0${name.toLowerCase()}`;
}

export class Catalog {
  readonly versions = new Versions();
  readonly #nodes = new Map<string, NodeEntry>();
  /** Service → instances, each as [node key, service id]. */
  readonly #byService = new Index();
  readonly #byConnect = new Index();
  readonly #nodesByAddress = new Index();
  readonly #servicesByAddress = new Index();
  /** Kind → id → body. */
  readonly #documents = new Map<string, Map<string, unknown>>();
  #services = 0;
  #checks = 0;

  get counts(): { nodes: number; services: number; checks: number } {
    return { nodes: this.#nodes.size, services: this.#services, checks: this.#checks };
  }

  setNode(row: NodeRow): void {
    const key = keyOf(row.peerName, row.node);
    const entry = this.#entry(key);
    if (entry.row !== undefined) this.#unindexNode(key, entry.row);
    entry.row = row;
    for (const ip of addressKeys(row.peerName, row.address)) this.#nodesByAddress.add(ip, key);
    this.#touchNode(key, entry);
  }

  deleteNode(peer: string, node: string): void {
    const key = keyOf(peer, node);
    const entry = this.#nodes.get(key);
    if (entry?.row === undefined) return;
    this.#unindexNode(key, entry.row);
    this.#touchNode(key, entry);
    entry.row = undefined;
    this.#dropIfEmpty(key, entry);
  }

  setService(row: ServiceRow): void {
    const nodeKey = keyOf(row.peerName, row.node);
    const entry = this.#entry(nodeKey);
    const old = entry.services.get(row.id);
    if (old === undefined) this.#services++;
    else this.#unindexService(nodeKey, old);
    entry.services.set(row.id, row);
    const instance = `${nodeKey}\0${row.id}`;
    this.#byService.add(keyOf(row.peerName, row.service), instance);
    const connected = connectedService(row);
    if (connected !== "") this.#byConnect.add(keyOf(row.peerName, connected), instance);
    for (const ip of addressKeys(row.peerName, row.address)) {
      this.#servicesByAddress.add(ip, instance);
    }
    this.#touchService(row);
  }

  deleteService(peer: string, node: string, id: string): void {
    const nodeKey = keyOf(peer, node);
    const entry = this.#nodes.get(nodeKey);
    const old = entry?.services.get(id);
    if (entry === undefined || old === undefined) return;
    this.#unindexService(nodeKey, old);
    entry.services.delete(id);
    this.#services--;
    this.#dropIfEmpty(nodeKey, entry);
  }

  setCheck(row: CheckRow): void {
    const entry = this.#entry(keyOf(row.peerName, row.node));
    const old = entry.checks.get(row.checkId);
    entry.checks.set(row.checkId, row);
    if (old === undefined) this.#checks++;
    // Output changes far more often than status, and no answer shows it.
    else if (old.status === row.status && old.serviceId === row.serviceId) return;
    else this.#touchChecked(entry, old);
    this.#touchChecked(entry, row);
  }

  deleteCheck(peer: string, node: string, checkId: string): void {
    const nodeKey = keyOf(peer, node);
    const entry = this.#nodes.get(nodeKey);
    const old = entry?.checks.get(checkId);
    if (entry === undefined || old === undefined) return;
    entry.checks.delete(checkId);
    this.#checks--;
    this.#touchChecked(entry, old);
    this.#dropIfEmpty(nodeKey, entry);
  }

  /** Makes all rows of a node equal to these; rows that are the same objects cost nothing. */
  syncNode(
    peer: string,
    name: string,
    row: NodeRow | undefined,
    services: Iterable<ServiceRow>,
    checks: Iterable<CheckRow>,
  ): void {
    const entry = this.#nodes.get(keyOf(peer, name));
    if (row === undefined) this.deleteNode(peer, name);
    else if (row !== entry?.row) this.setNode(row);
    const goneServices = new Set(entry?.services.keys());
    for (const service of services) {
      goneServices.delete(service.id);
      if (entry?.services.get(service.id) !== service) this.setService(service);
    }
    for (const id of goneServices) this.deleteService(peer, name, id);
    const goneChecks = new Set(entry?.checks.keys());
    for (const check of checks) {
      goneChecks.delete(check.checkId);
      if (entry?.checks.get(check.checkId) !== check) this.setCheck(check);
    }
    for (const id of goneChecks) this.deleteCheck(peer, name, id);
  }

  setDocument(kind: string, id: string, body: unknown): void {
    const rows = this.#documents.get(kind) ?? new Map<string, unknown>();
    this.#documents.set(kind, rows.set(id, body));
    this.versions.touch(`document ${kind}`);
  }

  deleteDocument(kind: string, id: string): void {
    if (this.#documents.get(kind)?.delete(id)) this.versions.touch(`document ${kind}`);
  }

  documents(kind: string): Iterable<unknown> {
    this.versions.read(`document ${kind}`);
    return this.#documents.get(kind)?.values() ?? [];
  }

  node(peer: string, name: string): NodeRow | undefined {
    const key = keyOf(peer, name);
    this.versions.read(`node ${key}`);
    return this.#nodes.get(key)?.row;
  }

  instances(peer: string, service: string): Instance[] {
    const key = keyOf(peer, service);
    this.versions.read(`service ${key}`);
    return this.#assemble(this.#byService.get(key));
  }

  connectInstances(peer: string, service: string): Instance[] {
    const key = keyOf(peer, service);
    this.versions.read(`connect ${key}`);
    return this.#assemble(this.#byConnect.get(key));
  }

  /** The first in order of names, of this datacenter only. */
  nodeWithAddress(ip: string): NodeRow | undefined {
    const [key] = addressKeys("", ip);
    if (key === undefined) return undefined;
    this.versions.read(`address ${key}`);
    let best: NodeRow | undefined;
    for (const nodeKey of this.#nodesByAddress.get(key)) {
      const row = this.#nodes.get(nodeKey)?.row;
      if (row !== undefined && (best === undefined || row.node < best.node)) best = row;
    }
    return best;
  }

  serviceWithAddress(ip: string): ServiceRow | undefined {
    const [key] = addressKeys("", ip);
    if (key === undefined) return undefined;
    this.versions.read(`address ${key}`);
    let best: ServiceRow | undefined;
    for (const { service } of this.#assemble(this.#servicesByAddress.get(key))) {
      if (best === undefined || service.service < best.service) best = service;
    }
    return best;
  }

  #entry(key: string): NodeEntry {
    let entry = this.#nodes.get(key);
    if (entry === undefined) {
      entry = { row: undefined, services: new Map(), checks: new Map() };
      this.#nodes.set(key, entry);
    }
    return entry;
  }

  #dropIfEmpty(key: string, entry: NodeEntry): void {
    if (entry.row === undefined && entry.services.size === 0 && entry.checks.size === 0) {
      this.#nodes.delete(key);
    }
  }

  /** Rows of one registration may come in any order, so an instance without its node waits. */
  #assemble(keys: Iterable<string>): Instance[] {
    const instances: Instance[] = [];
    for (const key of keys) {
      const split = key.indexOf("\0", key.indexOf("\0") + 1);
      const entry = this.#nodes.get(key.slice(0, split));
      const service = entry?.services.get(key.slice(split + 1));
      if (entry?.row === undefined || service === undefined) continue;
      const checks: CheckRow[] = [];
      for (const check of entry.checks.values()) {
        if (check.serviceId === "" || check.serviceId === service.id) checks.push(check);
      }
      instances.push({ node: entry.row, service, checks });
    }
    return instances;
  }

  #unindexNode(key: string, row: NodeRow): void {
    for (const ip of addressKeys(row.peerName, row.address)) {
      this.#nodesByAddress.delete(ip, key);
      this.versions.touch(`address ${ip}`);
    }
  }

  #unindexService(nodeKey: string, row: ServiceRow): void {
    const instance = `${nodeKey}\0${row.id}`;
    this.#byService.delete(keyOf(row.peerName, row.service), instance);
    const connected = connectedService(row);
    if (connected !== "") this.#byConnect.delete(keyOf(row.peerName, connected), instance);
    for (const ip of addressKeys(row.peerName, row.address)) {
      this.#servicesByAddress.delete(ip, instance);
    }
    this.#touchService(row);
  }

  #touchNode(key: string, entry: NodeEntry): void {
    this.versions.touch(`node ${key}`);
    const row = entry.row;
    if (row !== undefined) {
      for (const ip of addressKeys(row.peerName, row.address)) this.versions.touch(`address ${ip}`);
    }
    for (const service of entry.services.values()) this.#touchService(service);
  }

  #touchService(row: ServiceRow): void {
    this.versions.touch(`service ${keyOf(row.peerName, row.service)}`);
    const connected = connectedService(row);
    if (connected !== "") this.versions.touch(`connect ${keyOf(row.peerName, connected)}`);
    for (const ip of addressKeys(row.peerName, row.address)) this.versions.touch(`address ${ip}`);
  }

  #touchChecked(entry: NodeEntry, check: CheckRow): void {
    for (const service of entry.services.values()) {
      if (check.serviceId === "" || check.serviceId === service.id) this.#touchService(service);
    }
  }
}
