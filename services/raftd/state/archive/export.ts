// Tables as the records of a snapshot, in Consul's order and with all fields of its structs.

import type { Check, Document, KvEntry, Node, Service, Session } from "#proto/messages.js";
import type { IndexValues } from "../indexes.ts";
import type { Tables } from "../tables.ts";
import { fromJson, parseJson } from "./forms.ts";
import type { JsonObject } from "./forms.ts";
import { wholeBody } from "./import.ts";
import { Float } from "./msgpack.ts";
import type { Packable } from "./msgpack.ts";
import { pack, PackWriter } from "./msgpack-writer.ts";
import { rawOf } from "./peering.ts";
import { documentRecords, peeringKinds } from "./record-types.ts";
import { checkDefinition, proxyConfig } from "./structs.ts";

type Struct = { [key: string]: Packable };

const none = new Uint8Array(0);
const kindless = new Set(["mesh", "exported-services", "sameness-group"]);
const pieceBytes = 1024 * 1024;
/** Index names that Consul does not have. */
const privateIndexes = new Set([
  "autopilot-config",
  "connect-ca-config",
  "free-virtual-ips",
  "peering-secrets",
  "raw-record",
]);

/** The content of state.bin. */
export function* stateRecords(
  tables: Tables,
  indexes: IndexValues,
  lastIndex: number,
): Iterable<Uint8Array> {
  const writer = new PackWriter();
  writer.value({ LastIndex: lastIndex });
  for (const [type, value] of records(tables, indexes)) {
    writer.byte(type);
    writer.value(value);
    if (writer.length >= pieceBytes) yield writer.take();
  }
  // Types that are kept raw hold their whole value already.
  yield writer.take();
  for (const document of tables.documents.list("raw-record")) {
    yield Uint8Array.of(Number(parseJson(document.bodyJson).Type));
    yield rawOf(document);
  }
  writer.byte(29);
  writer.value({ ChunkMap: {} });
  yield writer.take();
}

function* records(tables: Tables, indexes: IndexValues): Iterable<[number, Packable]> {
  const { documents } = tables;
  for (const each of documents.list("service-virtual-ip")) yield [32, serviceVirtualIp(each)];
  for (const each of documents.list("free-virtual-ip")) yield [33, freeVirtualIp(each)];
  yield* catalogRecords(tables);
  for (const { node, segment, vec, error, adjustment, height } of tables.coordinates.list()) {
    const parts = { Error: error, Adjustment: adjustment, Height: height };
    const floats = Object.entries(parts).map(([key, value]) => [key, new Float(value)]);
    const Coord = {
      Vec: vec.map((value) => new Float(value)),
      ...Object.fromEntries(floats) as Struct,
    };
    yield [6, [{ Node: node, Segment: segment, Partition: "", Coord }]];
  }
  for (const session of tables.sessions.list()) yield [3, sessionStruct(session)];
  const isAcl = (type: number) => type >= 17 && type <= 27;
  yield* documentStructs(tables, isAcl);
  for (const page of tables.kv.pages(none, 1_000, 1 << 20)) {
    for (const entry of page) yield [2, kvStruct(entry)];
  }
  for (const { key, index } of tables.kv.tombstones.list()) {
    yield [5, { ...kvStruct({ ...emptyEntry, key }), ModifyIndex: index }];
  }
  yield* documentStructs(tables, (type) => !isAcl(type) && type < 30);
  for (const entry of documents.list("config-entry")) yield [22, configEntry(entry)];
  yield* documentStructs(tables, (type) => type >= 30);
  for (const [name, value] of [...indexes.entries()].sort(([a], [b]) => a < b ? -1 : 1)) {
    if (!privateIndexes.has(name)) yield [16, { Key: name, Value: value }];
  }
  for (const [type, kind] of Object.entries(peeringKinds)) {
    for (const document of documents.list(kind)) yield [Number(type), rawOf(document)];
  }
}

function* catalogRecords({ nodes, services, checks }: Tables): Iterable<[number, Packable]> {
  for (const node of nodes.listAll()) {
    const head = nodeStruct(node);
    yield [0, head];
    for (const service of services.ofNode(node.peerName, node.node)) {
      yield [0, { ...head, Service: serviceStruct(service) }];
    }
    for (const check of checks.ofNode(node.peerName, node.node)) {
      yield [0, { ...head, Check: checkStruct(check) }];
    }
  }
}

function* documentStructs(
  { documents }: Tables,
  isWanted: (type: number) => boolean,
): Iterable<[number, Packable]> {
  for (const { type, kind, fields } of documentRecords) {
    if (!isWanted(type)) continue;
    for (const document of documents.list(kind)) {
      const body = { ...fields, ...wholeBody(document) };
      const struct = { ...fromJson(body) as Struct, ...indexesOf(document) };
      if (type !== 30) {
        yield [type, struct];
      } else {
        yield [30, { Datacenter: "", Op: "upsert", State: struct, Token: "" }];
      }
    }
  }
}

function nodeStruct(node: Node): Struct {
  return {
    Datacenter: node.datacenter,
    ID: node.id,
    Node: node.node,
    Address: node.address,
    TaggedAddresses: node.hasTaggedAddresses ? { ...node.taggedAddresses } : null,
    NodeMeta: node.hasMeta ? { ...node.meta } : null,
    Service: null,
    Check: null,
    Checks: null,
    Locality: locality(node.localityJson),
    SkipNodeUpdate: false,
    PeerName: node.peerName,
    Token: "",
    ...indexesOf(node),
  };
}

function serviceStruct(service: Service): Struct {
  const tagged = Object.entries(service.taggedAddresses)
    .map(([tag, { address, port }]) => [tag, { Address: address, Port: port }] as const);
  return {
    Kind: service.kind,
    ID: service.id,
    Service: service.service,
    Tags: service.hasTags || service.tags.length > 0 ? service.tags : null,
    Address: service.address,
    TaggedAddresses: tagged.length === 0 ? null : Object.fromEntries(tagged),
    Meta: service.hasMeta ? { ...service.meta } : null,
    Port: service.port,
    SocketPath: service.socketPath,
    Weights: {
      Passing: service.weights?.passing ?? 1,
      Warning: service.weights?.warning ?? 1,
    },
    EnableTagOverride: service.enableTagOverride,
    Locality: locality(service.localityJson),
    Proxy: fromJson(proxyConfig(parseJson(service.proxyJson))),
    Connect: {
      Native: false,
      SidecarService: null,
      PeerMeta: null,
      ...fromJson(parseJson(service.connectJson)) as Struct,
    },
    LocallyRegisteredAsSidecar: false,
    PeerName: service.peerName,
    ...indexesOf(service),
  };
}

function checkStruct(check: Check): Struct {
  return {
    Node: check.node,
    CheckID: check.checkId,
    Name: check.name,
    Status: check.status,
    Notes: check.notes,
    Output: check.output,
    ServiceID: check.serviceId,
    ServiceName: check.serviceName,
    ServiceTags: check.serviceTags.length === 0 ? null : check.serviceTags,
    Type: check.type,
    Interval: check.interval,
    Timeout: check.timeout,
    ExposedPort: check.exposedPort,
    PeerName: check.peerName,
    Definition: fromJson(checkDefinition(parseJson(check.definitionJson))),
    ...indexesOf(check),
  };
}

function sessionStruct(session: Session): Struct {
  const { nodeChecks, serviceChecks, checks } = session;
  return {
    ID: session.id,
    Name: session.name,
    Node: session.node,
    LockDelay: BigInt(session.lockDelayNs || "0"),
    Behavior: session.behavior,
    TTL: session.ttl,
    NodeChecks: session.hasNodeChecks || nodeChecks.length > 0 ? nodeChecks : null,
    ServiceChecks: serviceChecks.length === 0
      ? null
      : serviceChecks.map(({ id, namespace }) => ({ ID: id, Namespace: namespace })),
    Checks: checks.length === 0 ? null : checks,
    ...indexesOf(session),
  };
}

const emptyEntry: KvEntry = {
  key: none,
  value: none,
  flags: none,
  session: "",
  lockIndex: 0,
  createIndex: 0,
  modifyIndex: 0,
};

/** In the order of its fields: these records are most of an archive. */
function kvStruct(entry: KvEntry): Struct {
  const { key, value, flags, session, lockIndex, createIndex, modifyIndex } = entry;
  return {
    CreateIndex: createIndex,
    Flags: flags.length === 8 ? new DataView(flags.buffer, flags.byteOffset, 8).getBigUint64(0) : 0,
    Key: key,
    LockIndex: lockIndex,
    ModifyIndex: modifyIndex,
    Session: session,
    Value: value.length === 0 ? null : value,
  };
}

function configEntry(document: Document): Packable {
  const { Kind: kind, ...body } = wholeBody(document);
  const kindText = String(kind ?? document.id.split("/")[0]);
  const entry: Struct = {
    ...(kindless.has(kindText) ? {} : { Kind: kindText }),
    Meta: null,
    ...special(kindText, fromJson(body) as Struct, body),
    Hash: 0,
    ...indexesOf(document),
  };
  const request = {
    Datacenter: "",
    Entry: kindText === "proxy-defaults" ? pack(entry) : entry,
    Op: "upsert",
    Token: "",
  };
  return Buffer.concat([pack(kindText), pack(request)]);
}

/** Where a type cannot be told from the JSON. */
function special(kind: string, entry: Struct, body: JsonObject): Struct {
  if (kind === "service-splitter" && Array.isArray(body.Splits)) {
    const splits = body.Splits.map((split) => {
      const weight = Number((split as JsonObject).Weight ?? 0);
      return { ...fromJson(split) as Struct, Weight: new Float(weight, 32) };
    });
    return { ...entry, Splits: splits };
  }
  if (kind === "bound-api-gateway" && body.Services !== null && body.Services !== undefined) {
    const services = Object.entries(entry.Services as Struct)
      .map(([name, routes]): [Packable, Packable] => [{ Name: name }, routes]);
    return { ...entry, Services: new Map(services) };
  }
  return entry;
}

function serviceVirtualIp(document: Document): Struct {
  const { Service: service, Offset: offset, ManualIPs: manual } = parseJson(document.bodyJson);
  return {
    Service: fromJson(service ?? null),
    IP: mapped(Number(offset)),
    ManualIPs: fromJson(manual ?? null),
    ...indexesOf(document),
  };
}

function freeVirtualIp(document: Document): Struct {
  const { Offset: offset, IsCounter: isCounter } = parseJson(document.bodyJson);
  return { IP: mapped(Number(offset)), IsCounter: isCounter === true };
}

/** An IPv4 address as 16 bytes. */
function mapped(offset: number): Uint8Array {
  const ip = new Uint8Array(16);
  ip.set([0xff, 0xff], 10);
  new DataView(ip.buffer).setUint32(12, offset);
  return ip;
}

function locality(json: Uint8Array): Packable {
  if (json.length === 0) return null;
  return { Region: "", Zone: "", ...fromJson(parseJson(json)) as Struct };
}

function indexesOf(row: { createIndex: number; modifyIndex: number }): Struct {
  return { CreateIndex: row.createIndex, ModifyIndex: row.modifyIndex };
}
