// Several operations or none (Consul: agent/consul/state txn, /v1/txn). Reads see the writes
// before them; every failing operation is named.

import { CatalogVerb, KvVerb } from "#proto/messages.js";
import type {
  Check,
  CheckOperation,
  KvCommand,
  KvEntry,
  Node,
  NodeOperation,
  Service,
  ServiceOperation,
  TxnCommand,
  TxnOperation,
  TxnOutcomeInput,
  TxnResultInput,
} from "#proto/messages.js";
import type { Catalog } from "./catalog.ts";
import { quote, quoteKey } from "./keys.ts";
import { completeCheck } from "./service-rules.ts";
import type { SessionEnd } from "./session-end.ts";
import type { Tables } from "./tables.ts";

export interface TxnParts {
  readonly tables: Tables;
  readonly catalog: Catalog;
  readonly sessionEnd: SessionEnd;
}

/** Results of one operation, or why it failed. */
type Answer = TxnResultInput[] | string;

const none = new Uint8Array(0);

/** Faults that are found before anything runs: then nothing else is tried. */
export function txnFaults(command: TxnCommand, tables: Tables): TxnOutcomeInput["errors"] {
  return command.operations.flatMap((operation, opIndex) => {
    const { kv } = operation;
    if (kv === null) return [];
    if (
      kv.key.length === 0 && kv.verb !== KvVerb.KV_DELETE_TREE && kv.verb !== KvVerb.KV_GET_TREE
    ) {
      return [{ opIndex, what: "Must provide key" }];
    }
    if (kv.verb === KvVerb.KV_LOCK && tables.kv.lockDelays.isDelayed(kv.key)) {
      return [{ opIndex, what: `failed to lock key ${quoteKey(kv.key)} due to lock delay` }];
    }
    return [];
  });
}

/** Runs all operations; the caller undoes them when there are errors. */
export function runTxn(command: TxnCommand, parts: TxnParts): TxnOutcomeInput {
  const results: TxnResultInput[] = [];
  const errors: { opIndex: number; what: string }[] = [];
  for (const [opIndex, operation] of command.operations.entries()) {
    const answer = run(operation, parts);
    if (typeof answer === "string") errors.push({ opIndex, what: answer });
    else results.push(...answer);
  }
  return errors.length === 0 ? { results } : { errors };
}

/** Whether the operations only look. */
export function isReadOnly(command: TxnCommand): boolean {
  return command.operations.every((operation) => {
    switch (operation.kind) {
      case "kv":
        return operation.kv.verb >= KvVerb.KV_GET;
      case "node":
        return operation.node.verb === CatalogVerb.CATALOG_GET;
      case "service":
        return operation.service.verb === CatalogVerb.CATALOG_GET;
      case "check":
        return operation.check.verb === CatalogVerb.CATALOG_GET;
      case "sessionDestroy":
        return false;
      case undefined:
        return true;
      default:
        return operation satisfies never;
    }
  });
}

function run(operation: TxnOperation, parts: TxnParts): Answer {
  switch (operation.kind) {
    case "kv":
      return runKv(operation.kv, parts);
    case "node":
      return runNode(operation.node, parts);
    case "service":
      return runService(operation.service, parts);
    case "check":
      return runCheck(operation.check, parts);
    case "sessionDestroy":
      parts.sessionEnd.destroy(operation.sessionDestroy);
      return [];
    case undefined:
      return [];
    default:
      return operation satisfies never;
  }
}

function runKv(command: KvCommand, { tables }: TxnParts): Answer {
  const { kv } = tables;
  const { key, index } = command;
  const name = quoteKey(key);
  switch (command.verb) {
    case KvVerb.KV_SET:
      return wrote(kv.set(command));
    case KvVerb.KV_CAS: {
      const entry = kv.setIf(command, index);
      return entry ? wrote(entry) : `failed to set key ${name}, index is stale`;
    }
    case KvVerb.KV_LOCK:
    case KvVerb.KV_UNLOCK:
      return runLock(command, name, tables);
    case KvVerb.KV_DELETE:
      kv.delete(key);
      return [];
    case KvVerb.KV_DELETE_CAS:
      return kv.deleteIf(key, index) ? [] : `failed to delete key ${name}, index is stale`;
    case KvVerb.KV_DELETE_TREE:
      kv.deleteTree(key);
      return [];
    default:
      return readKv(command, name, tables);
  }
}

function runLock(command: KvCommand, name: string, { kv, sessions }: Tables): Answer {
  const { session } = command;
  if (session === "") return "missing session";
  if (command.verb === KvVerb.KV_UNLOCK) {
    const entry = kv.unlock(command, session);
    if (entry !== undefined) return wrote(entry);
    return `failed to unlock key ${name}, lock isn't held, or is held by another session`;
  }
  if (sessions.find(session) === undefined) return `invalid session ${quote(session)}`;
  const entry = kv.lock(command, session);
  return entry ? wrote(entry) : `failed to lock key ${name}, lock is already held`;
}

function readKv(command: KvCommand, name: string, { kv }: Tables): Answer {
  const { key, index, session } = command;
  if (command.verb === KvVerb.KV_GET_TREE) return [...kv.list(key)].map((entry) => ({ kv: entry }));
  const entry = kv.get(key);
  switch (command.verb) {
    case KvVerb.KV_GET:
      return entry ? [{ kv: entry }] : `key ${name} doesn't exist`;
    case KvVerb.KV_GET_OR_EMPTY:
      return [{ kv: entry ?? { key, flags: command.flags, session } }];
    case KvVerb.KV_CHECK_SESSION:
      if (entry === undefined) return `failed to check session, key ${name} doesn't exist`;
      if (entry.session === session) return wrote(entry);
      return `failed session check for key ${name}, current session ${quote(entry.session)} != ` +
        quote(session);
    case KvVerb.KV_CHECK_INDEX:
      if (entry === undefined) return `failed to check index, key ${name} doesn't exist`;
      if (entry.modifyIndex === index) return wrote(entry);
      return `failed index check for key ${name}, current modify index ${entry.modifyIndex} != ` +
        `${index}`;
    case KvVerb.KV_CHECK_NOT_EXISTS:
      return entry === undefined ? [] : `key ${name} exists`;
    default:
      return `unknown KV operation: ${command.verb}`;
  }
}

/** Only reads that ask for a value get one. */
function wrote(entry: KvEntry): Answer {
  return [{ kv: { ...entry, value: none } }];
}

function runNode({ verb, node: asked }: NodeOperation, { tables, catalog }: TxnParts): Answer {
  const wanted = asked!;
  const { peerName: peer } = wanted;
  const find = (): Node | undefined =>
    (wanted.id === "" ? undefined : tables.nodes.findById(peer, wanted.id)) ??
      tables.nodes.find(peer, wanted.node);
  return runRow(verb, `node ${quote(wanted.node)}`, wanted, {
    find,
    result: (node) => ({ node }),
    set: () => catalog.ensureNode({ ...wanted, createIndex: 0, modifyIndex: 0 }),
    delete: (node) => catalog.deleteNode(peer, node.node),
  });
}

function runService(
  { verb, node, service: asked }: ServiceOperation,
  { tables, catalog }: TxnParts,
): Answer {
  const wanted = asked!;
  const { peerName: peer } = wanted;
  const id = wanted.id === "" ? wanted.service : wanted.id;
  const weights = wanted.weights ?? { passing: 1, warning: 1 };
  return runRow(verb, `service ${quote(id)} on node ${quote(node)}`, wanted, {
    find: (): Service | undefined => tables.services.find(peer, node, id),
    result: (service) => ({ service }),
    set: () => catalog.ensureService(node, { ...wanted, id, weights }),
    delete: () => catalog.deleteService(peer, node, id),
  });
}

function runCheck({ verb, check: asked }: CheckOperation, { tables, catalog }: TxnParts): Answer {
  const { type } = asked!;
  const wanted = { ...completeCheck(asked!, asked!.node), type };
  const { node, checkId, peerName: peer } = wanted;
  return runRow(verb, `check ${quote(checkId)} on node ${quote(node)}`, wanted, {
    find: (): Check | undefined => tables.checks.find(peer, node, checkId),
    result: (check) => ({ check }),
    set: () => catalog.ensureCheck(wanted),
    delete: () => catalog.deleteCheck(peer, node, checkId),
  });
}

interface RowWork<Row> {
  find(): Row | undefined;
  result(row: Row): TxnResultInput;
  set(): string | undefined;
  delete(row: Row): void;
}

function runRow<Row extends Versioned>(
  verb: CatalogVerb,
  name: string,
  wanted: Versioned,
  work: RowWork<Row>,
): Answer {
  const found = work.find();
  if (verb === CatalogVerb.CATALOG_GET) {
    return found ? [work.result(found)] : `${name} doesn't exist`;
  }
  if (verb === CatalogVerb.CATALOG_DELETE || verb === CatalogVerb.CATALOG_DELETE_CAS) {
    const isStale = found?.modifyIndex !== wanted.modifyIndex;
    if (verb === CatalogVerb.CATALOG_DELETE_CAS && (found === undefined || isStale)) {
      return `failed to delete ${name}, index is stale`;
    }
    if (found !== undefined) work.delete(found);
    return [];
  }
  // Index 0 means that there must be no row.
  if (verb === CatalogVerb.CATALOG_CAS && (found?.modifyIndex ?? 0) !== wanted.modifyIndex) {
    return `failed to set ${name}, index is stale`;
  }
  return work.set() ?? [work.result(work.find()!)];
}

interface Versioned {
  readonly modifyIndex: number;
}
