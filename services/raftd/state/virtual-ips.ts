// A virtual address for every service that takes part in the mesh, from 240.0.0.0/4. Kept as an
// offset in documents, as in Consul's tables service-virtual-ips and free-virtual-ips.

import type { Document, Service } from "#proto/messages.js";
import type { DocumentTable } from "./tables/documents.ts";
import { meshName, parseObject } from "./tables/services.ts";
import type { ServiceTable } from "./tables/services.ts";

const tag = "consul-virtual";
const assigned = "service-virtual-ip";
const free = "free-virtual-ip";
const counterId = "counter";
/** 255.255.255.254 as an offset from 240.0.0.0. */
const offsetMax = 0x0fff_fffe;
const encoder = new TextEncoder();
const none = new Uint8Array(0);

export class VirtualIps {
  readonly #documents: DocumentTable;
  readonly #services: ServiceTable;

  constructor(documents: DocumentTable, services: ServiceTable) {
    this.#documents = documents;
    this.#services = services;
  }

  /** The instance with the address of the service that it stands for. */
  assign(service: Service): Service {
    const name = meshName(service);
    if (name === "" || service.peerName !== "") return service;
    const offset = this.#offsetOf(name);
    if (offset === undefined) return service;
    const taggedAddresses = {
      ...service.taggedAddresses,
      [tag]: { address: formatAddress(offset), port: service.port },
    };
    return { ...service, taggedAddresses };
  }

  /** Gives the address back when neither the service nor a proxy for it is left. */
  release(peer: string, name: string): void {
    if (peer !== "" || this.#services.hasName(peer, name) || this.#services.hasMesh(peer, name)) {
      return;
    }
    const found = this.#documents.find(assigned, idOf(name));
    if (found === undefined) return;
    const offset = readOffset(found);
    this.#documents.remove(found);
    this.#documents.put(document(free, offsetId(offset), { Offset: offset, IsCounter: false }));
  }

  #offsetOf(name: string): number | undefined {
    const found = this.#documents.find(assigned, idOf(name));
    if (found !== undefined) return readOffset(found);
    const offset = this.#next();
    if (offset === undefined) return undefined;
    const body = { Service: { ServiceName: { Name: name }, Peer: "" }, Offset: offset };
    this.#documents.put(document(assigned, idOf(name), { ...body, ManualIPs: null }));
    return offset;
  }

  #next(): number | undefined {
    const [returned] = this.#documents.page(free, "ip:", 1);
    if (returned !== undefined && returned.id.startsWith("ip:")) {
      this.#documents.remove(returned);
      return readOffset(returned);
    }
    const counter = this.#documents.find(free, counterId);
    const offset = (counter === undefined ? 0 : readOffset(counter)) + 1;
    if (offset > offsetMax) return undefined;
    this.#documents.put(document(free, counterId, { Offset: offset, IsCounter: true }));
    return offset;
  }
}

function idOf(name: string): string {
  return name.toLowerCase();
}

function offsetId(offset: number): string {
  return `ip:${String(offset).padStart(10, "0")}`;
}

function readOffset(found: Document): number {
  return Number(parseObject(found.bodyJson).Offset);
}

function formatAddress(offset: number): string {
  const address = 0xf000_0000 + offset;
  return [24, 16, 8, 0].map((shift) => (address >>> shift) & 255).join(".");
}

function document(kind: string, id: string, body: object): Document {
  const bodyJson = encoder.encode(JSON.stringify(body));
  return { kind, id, bodyJson, secretJson: none, createIndex: 0, modifyIndex: 0 };
}
