// One command to its outcome: the switch over all kinds of commands.

import { errorCodes } from "#shared/errors.ts";
import { DocumentVerb, KvVerb, Outcome } from "#proto/messages.js";
import type {
  Command,
  CoordinatesCommand,
  DocumentCommand,
  KvCommand,
  SessionCommand,
  TxnCommand,
  TxnOutcomeInput,
} from "#proto/messages.js";
import { Catalog } from "./catalog.ts";
import { documentFault } from "./document-rules.ts";
import type { Journal } from "./journal.ts";
import { quote } from "./keys.ts";
import { deregister, register } from "./registration.ts";
import { createSession } from "./session-create.ts";
import { SessionEnd } from "./session-end.ts";
import type { Tables } from "./tables.ts";
import type { ClientTable } from "./tables/clients.ts";
import type { RestorePieces } from "./tables/restore-pieces.ts";
import { runTxn, txnFaults } from "./txn.ts";
import type { TxnParts } from "./txn.ts";
import { VirtualIps } from "./virtual-ips.ts";

/** Consul's text of a refusal, or whether the command did what it was asked. */
type Answer = string | boolean;

export class Applier implements TxnParts {
  readonly tables: Tables;
  readonly catalog: Catalog;
  readonly sessionEnd: SessionEnd;
  readonly #journal: Journal;
  readonly #clients: ClientTable;

  readonly #pieces: RestorePieces;

  constructor(tables: Tables, clients: ClientTable, pieces: RestorePieces, journal: Journal) {
    this.tables = tables;
    this.#journal = journal;
    this.#clients = clients;
    this.#pieces = pieces;
    this.sessionEnd = new SessionEnd(tables);
    const virtualIps = new VirtualIps(tables.documents, tables.services);
    this.catalog = new Catalog(tables, this.sessionEnd, virtualIps, journal);
  }

  /** The journal has the command's index and time. */
  apply(command: Command): Outcome {
    switch (command.kind) {
      case "kv":
        return this.#outcome(this.#applyKv(command.kv));
      case "txn":
        return this.#applyTxn(command.txn);
      case "batch": {
        const batch = command.batch.commands.map((each) => this.apply(each));
        return Outcome.create({ index: this.#journal.index, ok: true, batch });
      }
      case "register":
        return this.#outcome(register(command.register, this.tables, this.catalog) ?? true);
      case "deregister":
        return this.#outcome(deregister(command.deregister, this.catalog) ?? true);
      case "session":
        return this.#outcome(this.#applySession(command.session));
      case "coordinates":
        return this.#outcome(this.#applyCoordinates(command.coordinates));
      case "document":
        return this.#outcome(this.#applyDocument(command.document));
      case "reapTombstones":
        this.tables.kv.tombstones.reap(command.reapTombstones.throughIndex);
        return this.#outcome(true);
      case "expireClients":
        this.#clients.expire(command.expireClients.beforeStampMs);
        return this.#outcome(true);
      case "restore":
        return this.#outcome(this.#pieces.take(command.restore) ?? true);
      case undefined:
        throw new Error(
          `Expected a known command at index ${this.#journal.index} but found another kind: ` +
            "it was proposed by a newer release of curia",
        );
      default:
        return command satisfies never;
    }
  }

  #outcome(answer: Answer): Outcome {
    const { index } = this.#journal;
    if (typeof answer === "boolean") return Outcome.create({ index, ok: answer });
    return Outcome.create({ index, errorCode: errorCodes["failed-precondition"], error: answer });
  }

  #applyKv(command: KvCommand): Answer {
    const { kv } = this.tables;
    const { verb, key, index } = command;
    if (key.length === 0 && verb !== KvVerb.KV_DELETE_TREE) return "Must provide key";
    switch (verb) {
      case KvVerb.KV_SET:
        kv.set(command);
        return true;
      case KvVerb.KV_CAS:
        return kv.setIf(command, index) !== undefined;
      case KvVerb.KV_LOCK:
        return this.#lock(command);
      case KvVerb.KV_UNLOCK:
        if (command.session === "") return "raft apply failed: missing session";
        return kv.unlock(command, command.session) !== undefined;
      case KvVerb.KV_DELETE:
        kv.delete(key);
        return true;
      case KvVerb.KV_DELETE_CAS:
        return kv.deleteIf(key, index);
      case KvVerb.KV_DELETE_TREE:
        kv.deleteTree(key);
        return true;
      default:
        return `unknown KV operation: ${verb}`;
    }
  }

  #lock(command: KvCommand): Answer {
    const { kv, sessions } = this.tables;
    const { session } = command;
    if (kv.lockDelays.isDelayed(command.key)) return false;
    if (session === "") return "raft apply failed: missing session";
    if (sessions.find(session) === undefined) {
      return `raft apply failed: invalid session ${quote(session)}`;
    }
    return kv.lock(command, session) !== undefined;
  }

  #applySession(command: SessionCommand): Answer {
    switch (command.verb) {
      case "create":
        return createSession(command.create, this.tables) ?? true;
      case "destroy":
        this.sessionEnd.destroy(command.destroy);
        return true;
      case undefined:
        return "Must provide a session operation";
      default:
        return command satisfies never;
    }
  }

  #applyTxn(command: TxnCommand): Outcome {
    const { index } = this.#journal;
    const faults = txnFaults(command, this.tables);
    if (faults && faults.length > 0) return Outcome.create({ index, txn: { errors: faults } });
    let txn: TxnOutcomeInput = {};
    const ok = this.#journal.attempt(() => {
      txn = runTxn(command, this);
      return txn.errors === undefined;
    });
    return Outcome.create({ index, ok, txn });
  }

  /** Coordinates of nodes that are gone are dropped. */
  #applyCoordinates(command: CoordinatesCommand): Answer {
    const { nodes, coordinates } = this.tables;
    for (const coordinate of command.coordinates) {
      if (nodes.find("", coordinate.node) !== undefined) coordinates.put(coordinate);
    }
    return true;
  }

  #applyDocument(command: DocumentCommand): Answer {
    const { documents } = this.tables;
    const { verb, index } = command;
    const document = command.document!;
    const found = documents.find(document.kind, document.id);
    if (verb === DocumentVerb.DOCUMENT_DELETE || verb === DocumentVerb.DOCUMENT_DELETE_CAS) {
      const isGuarded = verb === DocumentVerb.DOCUMENT_DELETE_CAS;
      if (isGuarded && found !== undefined && found.modifyIndex !== index) return false;
      if (found !== undefined) documents.remove(found);
      return true;
    }
    if (verb === DocumentVerb.DOCUMENT_CAS && (found?.modifyIndex ?? 0) !== index) return false;
    const fault = documentFault(document, this.tables);
    if (fault !== undefined) return fault;
    documents.put(document);
    return true;
  }
}
