// Catalog rows as Consul's JSON shows them (spec: http-api 5.0): which fields are left out, which
// are null and which empty is part of the contract.

import type { Check, Node, Service, ServiceInstance } from "#proto/messages.js";
import { renderProxy } from "../bodies/proxy.ts";
import { toJson } from "../bodies/proxy.ts";
import { readJson } from "../json-reader.ts";
import { type Json, type JsonFields, mapOf } from "../json-writer.ts";

const textOf = (bytes: Uint8Array): string => Buffer.from(bytes).toString("utf8");

/** A map that was never set is null; one that was set to nothing is `{}`. */
function nullableMap(record: Record<string, string>, isSet: boolean): Json {
  const isEmpty = Object.keys(record).length === 0;
  return isEmpty && !isSet ? null : mapOf(record);
}

function jsonOr(bytes: Uint8Array, otherwise: Json): Json {
  return bytes.length === 0 ? otherwise : toJson(readJson(textOf(bytes)));
}

export function renderNode(node: Node, datacenter: string): JsonFields {
  return {
    ID: node.id,
    Node: node.node,
    Address: node.address,
    Datacenter: node.datacenter || datacenter,
    TaggedAddresses: nullableMap(node.taggedAddresses, node.hasTaggedAddresses),
    Meta: nullableMap(node.meta, node.hasMeta),
    Locality: jsonOr(node.localityJson, undefined),
    PeerName: node.peerName || undefined,
    CreateIndex: node.createIndex,
    ModifyIndex: node.modifyIndex,
  };
}

export function renderAddresses(service: Service): Json {
  const entries = Object.entries(service.taggedAddresses);
  if (entries.length === 0) return undefined;
  return new Map(
    entries.map(([name, at]): [string, Json] => [name, { Address: at.address, Port: at.port }]),
  );
}

export function renderWeights(service: Service): JsonFields {
  return { Passing: service.weights?.passing ?? 1, Warning: service.weights?.warning ?? 1 };
}

export function renderConnect(service: Service): Json {
  return jsonOr(service.connectJson, {});
}

/** The nested form ("NodeService"). */
export function renderService(service: Service): JsonFields {
  return {
    Kind: service.kind || undefined,
    ID: service.id,
    Service: service.service,
    Tags: service.tags,
    Address: service.address,
    TaggedAddresses: renderAddresses(service),
    Meta: nullableMap(service.meta, service.hasMeta),
    Port: service.port || undefined,
    SocketPath: service.socketPath || undefined,
    Weights: renderWeights(service),
    EnableTagOverride: service.enableTagOverride,
    Locality: jsonOr(service.localityJson, undefined),
    Proxy: renderProxy(service.proxyJson, "catalog"),
    Connect: renderConnect(service),
    PeerName: service.peerName,
    CreateIndex: service.createIndex,
    ModifyIndex: service.modifyIndex,
  };
}

/** The flat form ("ServiceNode"), a row of catalog/service. */
export function renderServiceRow(instance: ServiceInstance, datacenter: string): JsonFields {
  const node = instance.node!, service = instance.service!;
  return {
    ID: node.id,
    Node: node.node,
    Address: node.address,
    Datacenter: node.datacenter || datacenter,
    TaggedAddresses: nullableMap(node.taggedAddresses, node.hasTaggedAddresses),
    NodeMeta: nullableMap(node.meta, node.hasMeta),
    ServiceKind: service.kind,
    ServiceID: service.id,
    ServiceName: service.service,
    ServiceTags: service.tags,
    ServiceAddress: service.address,
    ServiceTaggedAddresses: renderAddresses(service),
    ServiceWeights: renderWeights(service),
    ServiceMeta: mapOf(service.meta),
    ServicePort: service.port,
    ServiceSocketPath: service.socketPath,
    ServiceEnableTagOverride: service.enableTagOverride,
    ServiceProxy: renderProxy(service.proxyJson, "catalog"),
    ServiceConnect: renderConnect(service),
    ServiceLocality: jsonOr(service.localityJson, null),
    PeerName: service.peerName || undefined,
    CreateIndex: service.createIndex,
    ModifyIndex: service.modifyIndex,
  };
}

export function renderCheck(check: Check): JsonFields {
  return {
    Node: check.node,
    CheckID: check.checkId,
    Name: check.name,
    Status: check.status,
    Notes: check.notes,
    Output: check.output,
    ServiceID: check.serviceId,
    ServiceName: check.serviceName,
    ServiceTags: check.serviceTags,
    Type: check.type,
    Interval: check.interval,
    Timeout: check.timeout,
    ExposedPort: check.exposedPort,
    PeerName: check.peerName || undefined,
    Definition: jsonOr(check.definitionJson, {}),
    CreateIndex: check.createIndex,
    ModifyIndex: check.modifyIndex,
  };
}

/** A row of health/service. */
export function renderInstance(instance: ServiceInstance, datacenter: string): JsonFields {
  return {
    Node: renderNode(instance.node!, datacenter),
    Service: renderService(instance.service!),
    Checks: instance.checks.map(renderCheck),
  };
}
