// The operations of a transaction (spec: http-api 5.10).

import { CatalogVerb, KvVerb, type TxnOperationInput } from "#proto/messages.js";
import {
  any,
  bytes,
  decode,
  type Fields,
  list,
  object,
  type Schema,
  text,
  uint64,
} from "../json-schema.ts";
import { flagsBytes } from "../render/rows.ts";
import {
  checkRow,
  healthCheckSchema,
  nodeRow,
  nodeServiceSchema,
  serviceRow,
  txnNodeSchema,
} from "./catalog.ts";

const kvSchema = object("KVTxnOp", {
  fields: {
    Verb: text,
    Key: text,
    Value: bytes,
    Flags: uint64,
    Index: uint64,
    Session: text,
    Namespace: any,
    Partition: any,
  },
});
const schema: Schema = list(object("TxnOp", {
  fields: {
    KV: kvSchema,
    Node: object("NodeTxnOp", { fields: { Verb: text, Node: txnNodeSchema } }),
    Service: object("ServiceTxnOp", {
      fields: { Verb: text, Node: text, Service: nodeServiceSchema },
    }),
    Check: object("CheckTxnOp", { fields: { Verb: text, Check: healthCheckSchema } }),
  },
}));

const kvVerbs: Record<string, KvVerb> = {
  "set": KvVerb.KV_SET,
  "cas": KvVerb.KV_CAS,
  "lock": KvVerb.KV_LOCK,
  "unlock": KvVerb.KV_UNLOCK,
  "delete": KvVerb.KV_DELETE,
  "delete-cas": KvVerb.KV_DELETE_CAS,
  "delete-tree": KvVerb.KV_DELETE_TREE,
  "get": KvVerb.KV_GET,
  "get-or-empty": KvVerb.KV_GET_OR_EMPTY,
  "get-tree": KvVerb.KV_GET_TREE,
  "check-session": KvVerb.KV_CHECK_SESSION,
  "check-index": KvVerb.KV_CHECK_INDEX,
  "check-not-exists": KvVerb.KV_CHECK_NOT_EXISTS,
};
const catalogVerbs: Record<string, CatalogVerb> = {
  "get": CatalogVerb.CATALOG_GET,
  "set": CatalogVerb.CATALOG_SET,
  "cas": CatalogVerb.CATALOG_CAS,
  "delete": CatalogVerb.CATALOG_DELETE,
  "delete-cas": CatalogVerb.CATALOG_DELETE_CAS,
};
const writeVerbs = new Set(["set", "cas", "lock", "unlock", "delete", "delete-cas", "delete-tree"]);

export interface TxnBody {
  operations: TxnOperationInput[];
  hasWrites: boolean;
  /** Operations whose verb nobody knows: they fail whatever the state is. */
  unknown: { opIndex: number; what: string }[];
  /** The first key whose value is over the limit. */
  tooLarge: { key: string; bytes: number } | undefined;
}

/** Elements with no known operation in them vanish before they are counted, as in Consul. */
export function txnFromBody(body: string, valueBytesMax: number): TxnBody {
  const out: TxnBody = { operations: [], hasWrites: false, unknown: [], tooLarge: undefined };
  for (const element of decode<Fields[]>(body, schema)) {
    const operation = operationOf(element, out);
    if (operation === undefined) continue;
    out.operations.push(operation);
    const value = operation.kv?.value;
    if (value && value.length > valueBytesMax) {
      out.tooLarge ??= {
        key: Buffer.from(operation.kv!.key as Uint8Array).toString("utf8"),
        bytes: value.length,
      };
    }
  }
  return out;
}

function operationOf(element: Fields, out: TxnBody): TxnOperationInput | undefined {
  const kv = element.KV as Fields | undefined;
  const node = element.Node as Fields | undefined;
  const service = element.Service as Fields | undefined;
  const check = element.Check as Fields | undefined;
  if (kv !== undefined) {
    return {
      kv: {
        verb: verbOf(kv, kvVerbs, "KV", out),
        key: Buffer.from((kv.Key ?? "") as string),
        value: (kv.Value ?? new Uint8Array(0)) as Uint8Array,
        flags: flagsBytes((kv.Flags ?? 0n) as bigint),
        index: Number(kv.Index ?? 0n),
        session: (kv.Session ?? "") as string,
      },
    };
  }
  if (node !== undefined) {
    const row = nodeRow((node.Node ?? {}) as Fields, "Meta");
    return { node: { verb: verbOf(node, catalogVerbs, "Node", out), node: row } };
  }
  if (service !== undefined) {
    const row = serviceRow((service.Service ?? {}) as Fields);
    const verb = verbOf(service, catalogVerbs, "Service", out);
    return { service: { verb, node: (service.Node ?? "") as string, service: row } };
  }
  if (check !== undefined) {
    const row = checkRow((check.Check ?? {}) as Fields);
    return { check: { verb: verbOf(check, catalogVerbs, "Check", out), check: row } };
  }
  return undefined;
}

function verbOf<T>(fields: Fields, verbs: Record<string, T>, kind: string, out: TxnBody): T {
  const name = (fields.Verb ?? "") as string;
  if (writeVerbs.has(name)) out.hasWrites = true;
  const verb = verbs[name];
  if (verb !== undefined && Object.hasOwn(verbs, name)) return verb;
  out.unknown.push({
    opIndex: out.operations.length,
    what: `unknown ${kind} operation: ${name}`,
  });
  return Object.values(verbs)[0]!;
}
