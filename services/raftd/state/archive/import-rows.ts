// Structs of a snapshot as rows of the catalog, of KV and of sessions.

import type { Check, Coordinate, KvEntry, Node, Service, Session } from "#proto/messages.js";
import { jsonBytes, list, number, object, prune, text, textMap, toJson } from "./forms.ts";
import type { Packed } from "./msgpack.ts";

export type Struct = { [key: string]: Packed };

const none = new Uint8Array(0);

export function nodeOf(struct: Struct): Node {
  return {
    id: text(struct.ID),
    node: text(struct.Node),
    address: text(struct.Address),
    datacenter: text(struct.Datacenter),
    taggedAddresses: textMap(struct.TaggedAddresses),
    meta: textMap(struct.NodeMeta),
    peerName: text(struct.PeerName),
    localityJson: jsonBytes(prune(toJson(struct.Locality ?? null))),
    createIndex: number(struct.CreateIndex),
    modifyIndex: number(struct.ModifyIndex),
    hasTaggedAddresses: isSet(struct.TaggedAddresses),
    hasMeta: isSet(struct.NodeMeta),
  };
}

export function serviceOf(struct: Struct, peerName: string, node: string): Service {
  const tagged = Object.entries(object(struct.TaggedAddresses)).map(([tag, value]) => {
    const { Address: address, Port: port } = object(value);
    return [tag, { address: text(address), port: number(port) }];
  });
  const weights = struct.Weights ? object(struct.Weights) : undefined;
  return {
    kind: text(struct.Kind),
    id: text(struct.ID),
    service: text(struct.Service),
    tags: list(struct.Tags).map(text),
    address: text(struct.Address),
    port: number(struct.Port),
    socketPath: text(struct.SocketPath),
    taggedAddresses: Object.fromEntries(tagged),
    meta: textMap(struct.Meta),
    weights: {
      passing: weights ? number(weights.Passing) : 1,
      warning: weights ? number(weights.Warning) : 1,
    },
    enableTagOverride: struct.EnableTagOverride === true,
    proxyJson: jsonBytes(prune(toJson(struct.Proxy ?? null))),
    connectJson: jsonBytes(prune(toJson(struct.Connect ?? null))),
    localityJson: jsonBytes(prune(toJson(struct.Locality ?? null))),
    peerName,
    createIndex: number(struct.CreateIndex),
    modifyIndex: number(struct.ModifyIndex),
    node,
    hasMeta: isSet(struct.Meta),
    hasTags: isSet(struct.Tags),
  };
}

export function checkOf(struct: Struct, peerName: string): Check {
  return {
    node: text(struct.Node),
    checkId: text(struct.CheckID),
    name: text(struct.Name),
    status: text(struct.Status),
    notes: text(struct.Notes),
    output: text(struct.Output),
    serviceId: text(struct.ServiceID),
    serviceName: text(struct.ServiceName),
    serviceTags: list(struct.ServiceTags).map(text),
    type: text(struct.Type),
    interval: text(struct.Interval),
    timeout: text(struct.Timeout),
    exposedPort: number(struct.ExposedPort),
    peerName,
    definitionJson: jsonBytes(prune(toJson(struct.Definition ?? null))),
    createIndex: number(struct.CreateIndex),
    modifyIndex: number(struct.ModifyIndex),
  };
}

export function kvOf(struct: Struct): KvEntry {
  return {
    key: struct.Key as Uint8Array,
    value: (struct.Value as Uint8Array | null) ?? none,
    flags: flagsOf(struct.Flags),
    session: text(struct.Session),
    lockIndex: number(struct.LockIndex),
    createIndex: number(struct.CreateIndex),
    modifyIndex: number(struct.ModifyIndex),
  };
}

function flagsOf(packed: Packed | undefined): Uint8Array {
  const value = typeof packed === "bigint" ? packed : number(packed);
  if (value === 0) return none;
  const flags = new Uint8Array(8);
  new DataView(flags.buffer).setBigUint64(0, BigInt.asUintN(64, BigInt(value)));
  return flags;
}

export function sessionOf(struct: Struct): Session {
  return {
    id: text(struct.ID),
    name: text(struct.Name),
    node: text(struct.Node),
    lockDelayNs: String(struct.LockDelay ?? 0),
    behavior: text(struct.Behavior),
    ttl: text(struct.TTL),
    nodeChecks: list(struct.NodeChecks).map(text),
    serviceChecks: list(struct.ServiceChecks).map((check) => ({
      id: text(object(check).ID),
      namespace: text(object(check).Namespace),
    })),
    checks: list(struct.Checks).map(text),
    createIndex: number(struct.CreateIndex),
    modifyIndex: number(struct.ModifyIndex),
    hasNodeChecks: isSet(struct.NodeChecks),
  };
}

/** Undefined: it has numbers that are none. */
export function coordinateOf(struct: Struct): Coordinate | undefined {
  const coordinate = object(struct.Coord);
  const numbers = [
    ...list(coordinate.Vec),
    coordinate.Error!,
    coordinate.Adjustment!,
    coordinate.Height!,
  ].map(number);
  if (!numbers.every(Number.isFinite)) return undefined;
  return {
    node: text(struct.Node),
    segment: text(struct.Segment),
    vec: numbers.slice(0, -3),
    error: numbers.at(-3)!,
    adjustment: numbers.at(-2)!,
    height: numbers.at(-1)!,
  };
}

function isSet(value: Packed | undefined): boolean {
  return value !== null && value !== undefined;
}
