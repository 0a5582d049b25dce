// The records of a snapshot into tables. A record that has no place here is kept as it is and named
// in the summary; an unknown type refuses the whole snapshot, as in Consul.

import type { Document } from "#proto/messages.js";
import { CuriaError } from "#shared/errors.ts";
import { indexName } from "../indexes.ts";
import type { Indexes } from "../indexes.ts";
import type { Tables } from "../tables.ts";
import { documentTable } from "../tables/documents.ts";
import { jsonBytes, list, number, object, parseJson, text, toJson } from "./forms.ts";
import type { JsonObject } from "./forms.ts";
import { checkOf, coordinateOf, kvOf, nodeOf, serviceOf, sessionOf } from "./import-rows.ts";
import type { Struct } from "./import-rows.ts";
import { PackReader } from "./msgpack.ts";
import type { Packed } from "./msgpack.ts";
import { peeringDocument } from "./peering.ts";
import { documentRecords, peeringKinds, recordNames } from "./record-types.ts";

export interface ImportSummary {
  readonly lastIndex: number;
  /** Records by the name of their type. */
  readonly counts: Record<string, number>;
  /** What was only kept, and not understood. */
  readonly keptRaw: string[];
}

const none = new Uint8Array(0);
const documentByType = new Map(documentRecords.map((record) => [record.type, record]));

export class Importer {
  readonly #tables: Tables;
  readonly #indexes: Indexes;
  readonly #keepsKeys: boolean;
  readonly #seenNodes = new Set<string>();
  readonly #rawCounts = new Map<number, number>();

  /** Without `keepsKeys` KV entries are read and let go. */
  constructor(tables: Tables, indexes: Indexes, keepsKeys: boolean) {
    this.#keepsKeys = keepsKeys;
    this.#tables = tables;
    this.#indexes = indexes;
  }

  /** The tables must be empty. */
  run(state: Uint8Array): ImportSummary {
    const reader = new PackReader(state);
    const lastIndex = number(object(reader.value()).LastIndex);
    const counts: Record<string, number> = {};
    const keptRaw: string[] = [];
    const exact: [string, number][] = [];
    while (!reader.isAtEnd) {
      const type = reader.byte();
      const from = reader.position;
      const value = reader.value();
      const name = recordNames[type] ?? `type ${type}`;
      counts[name] = (counts[name] ?? 0) + 1;
      if (type === 16) {
        exact.push([text(object(value).Key), number(object(value).Value)]);
      } else if (!this.#take(type, value)) {
        const number = this.#keepRaw(type, state.subarray(from, reader.position));
        keptRaw.push(`${name} ${number}`);
      }
    }
    // They say what tables and objects had, whatever their rows would make of it.
    for (const [name, index] of exact) this.#indexes.set(name, index);
    return { lastIndex, counts, keptRaw };
  }

  /** False: understood as little as to be kept raw. */
  #take(type: number, value: Packed): boolean {
    const struct = object(value);
    const described = documentByType.get(type);
    if (described !== undefined) {
      const source = type === 30 ? object(struct.State) : struct;
      const body = bodyOf(source);
      this.#document(described.kind, described.id(body), body, described.secrets, source);
      return true;
    }
    switch (type) {
      case 0:
        this.#register(struct);
        return true;
      case 2: {
        const entry = kvOf(struct);
        if (this.#keepsKeys) this.#tables.kv.restore(entry);
        return true;
      }
      case 3:
        this.#tables.sessions.restore(sessionOf(struct));
        return true;
      case 5:
        this.#tables.kv.tombstones.restore({
          key: struct.Key as Uint8Array,
          index: number(struct.ModifyIndex),
        });
        return true;
      case 6:
        for (const each of list(value)) {
          const coordinate = coordinateOf(object(each));
          if (coordinate !== undefined) this.#tables.coordinates.restore(coordinate);
        }
        return true;
      case 22:
        this.#configEntry(value);
        return true;
      case 29:
        return Object.keys(object(struct.ChunkMap)).length === 0;
      case 32:
      case 33:
        this.#virtualIp(type, struct);
        return true;
      case 35:
      case 38:
      case 40:
        this.#restoreDocument(peeringDocument(peeringKinds[type]!, value as Uint8Array));
        return true;
      case 42:
        return false;
      default:
        throw new CuriaError(
          "invalid-argument",
          type < 64
            ? `failed to restore snapshot: Unrecognized msg type ${type}`
            : `failed to restore snapshot: type ${type} is a record of Consul Enterprise`,
        );
    }
  }

  #register(struct: Struct): void {
    const peer = text(struct.PeerName);
    const name = text(struct.Node);
    if (!this.#seenNodes.has(`${peer} ${name}`)) {
      this.#seenNodes.add(`${peer} ${name}`);
      this.#node(struct);
    }
    if (struct.Service !== null && struct.Service !== undefined) {
      this.#service(object(struct.Service), peer, name);
    }
    if (struct.Check !== null && struct.Check !== undefined) {
      this.#check(object(struct.Check), peer);
    }
    for (const check of list(struct.Checks)) this.#check(object(check), peer);
  }

  #node(struct: Struct): void {
    const node = nodeOf(struct);
    const { peerName, modifyIndex } = node;
    this.#tables.nodes.restore(node);
    this.#indexes.raise("nodes", modifyIndex);
    this.#indexes.raise(indexName.peerTable(peerName, "nodes"), modifyIndex);
    this.#indexes.raise(indexName.node(peerName, node.node), modifyIndex);
  }

  #service(struct: Struct, peerName: string, node: string): void {
    const service = serviceOf(struct, peerName, node);
    const { modifyIndex } = service;
    this.#tables.services.restore(service);
    this.#indexes.raise("services", modifyIndex);
    this.#indexes.raise(indexName.peerTable(peerName, "services"), modifyIndex);
    this.#indexes.raise(indexName.service(peerName, service.service), modifyIndex);
    this.#indexes.raise(indexName.serviceKind(peerName, service.kind), modifyIndex);
  }

  #check(struct: Struct, peerName: string): void {
    const check = checkOf(struct, peerName);
    this.#tables.checks.restore(check);
    this.#indexes.raise("checks", check.modifyIndex);
    this.#indexes.raise(indexName.peerTable(peerName, "checks"), check.modifyIndex);
    if (check.serviceName === "") return;
    this.#indexes.raise(indexName.service(peerName, check.serviceName), check.modifyIndex);
  }

  /** The kind stands before the entry; some kinds do not repeat it, nor have a name. */
  #configEntry(value: Packed): void {
    const reader = new PackReader(value as Uint8Array);
    const kind = text(reader.value());
    const request = object(reader.value());
    const nested = request.Entry;
    const entry = object(nested instanceof Uint8Array ? new PackReader(nested).value() : nested);
    const { Hash: _, ...body } = bodyOf(entry);
    const name = typeof body.Name === "string" && body.Name !== "" ? body.Name : kind;
    const secrets = kind === "inline-certificate" ? ["PrivateKey"] : [];
    const full = { Kind: kind, ...(kind === "mesh" ? {} : { Name: name }), ...body };
    this.#document("config-entry", `${kind}/${name}`, { ...full, Kind: kind }, secrets, entry);
  }

  #virtualIp(type: number, struct: Struct): void {
    const ip = struct.IP as Uint8Array;
    const offset = new DataView(ip.buffer, ip.byteOffset).getUint32(ip.length - 4);
    if (type === 33) {
      const isCounter = struct.IsCounter === true;
      const id = isCounter ? "counter" : `ip:${String(offset).padStart(10, "0")}`;
      const body = { Offset: offset, IsCounter: isCounter };
      this.#document("free-virtual-ip", id, body, [], struct);
      return;
    }
    const service = object(struct.Service);
    // Before 1.13 the name stood here itself.
    const name = text(object(service.ServiceName).Name) || text(service.Name);
    const peer = text(service.Peer);
    const body: JsonObject = {
      Service: { ServiceName: { Name: name }, Peer: peer },
      Offset: offset,
      ManualIPs: toJson(struct.ManualIPs ?? null),
    };
    const id = peer === "" ? name.toLowerCase() : `${peer}/${name.toLowerCase()}`;
    this.#document("service-virtual-ip", id, body, [], struct);
  }

  #document(
    kind: string,
    id: string,
    body: JsonObject,
    secrets: readonly string[],
    struct: Struct,
  ): void {
    const isSecret = kind === "system-metadata" && id === "server-management-token";
    const [open, secret] = split(body, isSecret ? ["Value"] : secrets);
    if (kind === "ca-config") hideKey(open, secret);
    this.#restoreDocument({
      kind,
      id,
      bodyJson: jsonBytes(open),
      secretJson: Object.keys(secret).length === 0 ? none : jsonBytes(secret),
      createIndex: number(struct.CreateIndex),
      modifyIndex: number(struct.ModifyIndex),
    });
  }

  #restoreDocument(document: Document): void {
    this.#tables.documents.restore(document);
    this.#indexes.raise(documentTable(document.kind), document.modifyIndex);
  }

  #keepRaw(type: number, raw: Uint8Array): number {
    const count = (this.#rawCounts.get(type) ?? 0) + 1;
    this.#rawCounts.set(type, count);
    const id = `${type}/${String(count).padStart(8, "0")}`;
    this.#restoreDocument({
      kind: "raw-record",
      id,
      bodyJson: jsonBytes({ Type: type }),
      secretJson: jsonBytes({ Raw: Buffer.from(raw).toString("base64") }),
      createIndex: 0,
      modifyIndex: 0,
    });
    return count;
  }
}

/** A struct without the two indexes, which are columns. */
function bodyOf(struct: Struct): JsonObject {
  const { CreateIndex: _, ModifyIndex: __, ...body } = struct;
  return toJson(body) as JsonObject;
}

function split(body: JsonObject, secrets: readonly string[]): [JsonObject, JsonObject] {
  const open: JsonObject = {};
  const secret: JsonObject = {};
  for (const [key, value] of Object.entries(body)) {
    if (secrets.includes(key) && value !== "" && value !== null) secret[key] = value;
    else open[key] = value;
  }
  return [open, secret];
}

/** A key that the operator gave makes the whole provider configuration secret. */
function hideKey(open: JsonObject, secret: JsonObject): void {
  const { Config: config } = open;
  if (typeof config !== "object" || config === null || Array.isArray(config)) return;
  if (!config.PrivateKey && !config.Token) return;
  secret.Config = config;
  open.Config = {};
}

/** The whole row: the secret part over the open one. */
export function wholeBody(document: Document): JsonObject {
  return { ...parseJson(document.bodyJson), ...parseJson(document.secretJson) };
}
