// Rows of all tables whose values the state keeps without looking into them, by kind and id.

import type { Database, Statement } from "bun:sqlite";
import type { Document } from "#proto/messages.js";
import type { Journal } from "../journal.ts";
import { sameBytes } from "../keys.ts";
import { bodyHash } from "../rows.ts";
import { watchKey } from "../watch-keys.ts";
import { parseObject } from "./services.ts";

const columns = "kind, doc_id, create_index, modify_index, body, secret";
type Row = [string, string, number, number, Uint8Array, Uint8Array];

/** Consul's name of the table index of each kind. */
const tableNames: Record<string, string> = {
  "config-entry": "config-entries",
  "acl-token": "acl-tokens",
  "acl-policy": "acl-policies",
  "acl-role": "acl-roles",
  "acl-binding-rule": "acl-binding-rules",
  "acl-auth-method": "acl-auth-methods",
  "prepared-query": "prepared-queries",
  "intention": "connect-intentions",
  "ca-root": "connect-ca-roots",
  "ca-config": "connect-ca-config",
  "ca-provider-state": "connect-ca-builtin",
  "autopilot-config": "autopilot-config",
  "federation-state": "federation-states",
  "system-metadata": "system-metadata",
  "service-virtual-ip": "service-virtual-ips",
  "free-virtual-ip": "free-virtual-ips",
  "peering": "peering",
  "peering-trust-bundle": "peering-trust-bundles",
  "peering-secrets": "peering-secrets",
};

export function documentTable(kind: string): string {
  return tableNames[kind] ?? kind;
}

export class DocumentTable {
  readonly #journal: Journal;
  readonly #byId: Statement;
  readonly #ofKind: Statement;
  readonly #after: Statement;
  readonly #ofSession: Statement;
  readonly #insert: Statement;
  readonly #update: Statement;
  readonly #remove: Statement;

  constructor(db: Database, journal: Journal) {
    this.#journal = journal;
    const select = `SELECT ${columns} FROM documents`;
    this.#byId = db.prepare(`${select} WHERE kind = ? AND doc_id = ?`);
    this.#ofKind = db.prepare(`${select} WHERE kind = ? AND doc_id >= ? ORDER BY doc_id`);
    this.#after = db.prepare(`${select} WHERE kind = ? AND doc_id > ? ORDER BY doc_id LIMIT ?`);
    this.#ofSession = db.prepare(
      `${select} WHERE session = ? AND session <> '' ORDER BY doc_id`,
    );
    this.#insert = db.prepare(
      "INSERT INTO documents (kind, doc_id, session, create_index, modify_index, body, secret) " +
        "VALUES (?, ?, ?, ?, ?, ?, ?)",
    );
    this.#update = db.prepare(
      "UPDATE documents SET session = ?, modify_index = ?, body = ?, secret = ? " +
        "WHERE kind = ? AND doc_id = ?",
    );
    this.#remove = db.prepare("DELETE FROM documents WHERE kind = ? AND doc_id = ?");
  }

  find(kind: string, id: string): Document | undefined {
    const row = this.#byId.values(kind, id)[0] as Row | undefined;
    return row && toDocument(row);
  }

  /** In the order of their ids. */
  list(kind: string, idPrefix = ""): Document[] {
    const documents: Document[] = [];
    for (const row of this.#ofKind.values(kind, idPrefix) as Row[]) {
      if (!row[1].startsWith(idPrefix)) break;
      documents.push(toDocument(row));
    }
    return documents;
  }

  page(kind: string, afterId: string, limit: number): Document[] {
    return (this.#after.values(kind, afterId, limit) as Row[]).map(toDocument);
  }

  ofSession(session: string): Document[] {
    return (this.#ofSession.values(session) as Row[]).map(toDocument);
  }

  /** Inserts or replaces; nothing moves when body and secret are as they were. */
  put(document: Document): void {
    const { index } = this.#journal;
    const { kind, id, bodyJson: body, secretJson: secret } = document;
    const old = this.find(kind, id);
    if (old && sameBytes(old.bodyJson, body) && sameBytes(old.secretJson, secret)) return;
    const createIndex = old?.createIndex ?? index;
    const stored = { ...document, createIndex, modifyIndex: index };
    if (old !== undefined) {
      this.#journal.hash.remove(hashOf(old));
      this.#update.run(sessionOf(document), index, body, secret, kind, id);
    } else {
      this.#insert.run(kind, id, sessionOf(document), createIndex, index, body, secret);
    }
    this.#journal.hash.add(hashOf(stored));
    this.#touch(stored);
    this.#journal.note({ deleted: false, kind: "document", document: stored });
  }

  remove(document: Document): void {
    this.#remove.run(document.kind, document.id);
    this.#journal.hash.remove(hashOf(document));
    this.#touch(document);
    this.#journal.note({ deleted: true, kind: "document", document });
  }

  /** A row with the indexes that it has. */
  restore(document: Document): void {
    const { kind, id, createIndex, modifyIndex, bodyJson, secretJson } = document;
    const session = sessionOf(document);
    this.#insert.run(kind, id, session, createIndex, modifyIndex, bodyJson, secretJson);
    this.#journal.hash.add(hashOf(document));
    this.#journal.indexes.raise(documentTable(kind), modifyIndex);
  }

  #touch(document: Document): void {
    this.#journal.indexes.raise(documentTable(document.kind), this.#journal.index);
    this.#journal.touch(watchKey.document(document.kind, document.id));
    this.#journal.touch(watchKey.documents(document.kind));
  }
}

/** Prepared queries may be bound to a session, and go with it. */
function sessionOf(document: Document): string {
  if (document.kind !== "prepared-query") return "";
  const { Session: session } = parseObject(document.bodyJson);
  return typeof session === "string" ? session : "";
}

function toDocument(row: Row): Document {
  const [kind, id, createIndex, modifyIndex, bodyJson, secretJson] = row;
  return { kind, id, createIndex, modifyIndex, bodyJson, secretJson };
}

function hashOf(document: Document): number {
  const { kind, id, bodyJson, secretJson, createIndex, modifyIndex } = document;
  const payload = secretJson.length === 0 ? bodyJson : Buffer.concat([bodyJson, secretJson]);
  return bodyHash("document", `${kind} ${id}`, payload, createIndex, modifyIndex);
}
