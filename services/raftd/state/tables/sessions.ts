// Sessions and the checks that they hang on. What a session holds when it ends is released by
// session-end.ts, which sees the other tables.

import type { Database, Statement } from "bun:sqlite";
import { Session } from "#proto/messages.js";
import type { Journal } from "../journal.ts";
import { bodyHash, readRow, sessionBody } from "../rows.ts";
import { watchKey } from "../watch-keys.ts";

const columns = "create_index, modify_index, body";
type Row = [number, number, Uint8Array];

export class SessionTable {
  readonly #journal: Journal;
  readonly #byId: Statement;
  readonly #ofNode: Statement;
  readonly #ofCheck: Statement;
  readonly #all: Statement;
  readonly #insert: Statement;
  readonly #insertCheck: Statement;
  readonly #remove: Statement;
  readonly #removeChecks: Statement;

  constructor(db: Database, journal: Journal) {
    this.#journal = journal;
    const select = `SELECT ${columns} FROM sessions`;
    this.#byId = db.prepare(`${select} WHERE session_id = ?`);
    this.#ofNode = db.prepare(`${select} WHERE node = ? ORDER BY session_id`);
    this.#ofCheck = db.prepare(
      "SELECT session_id FROM session_checks WHERE node = ? AND check_id = ? ORDER BY session_id",
    );
    this.#all = db.prepare(`${select} ORDER BY session_id`);
    this.#insert = db.prepare(
      "INSERT INTO sessions (session_id, node, create_index, modify_index, body) " +
        "VALUES (?, ?, ?, ?, ?)",
    );
    this.#insertCheck = db.prepare(
      "INSERT OR IGNORE INTO session_checks (node, check_id, session_id) VALUES (?, ?, ?)",
    );
    this.#remove = db.prepare("DELETE FROM sessions WHERE session_id = ?");
    this.#removeChecks = db.prepare("DELETE FROM session_checks WHERE session_id = ?");
  }

  find(id: string): Session | undefined {
    const row = this.#byId.values(id)[0] as Row | undefined;
    return row && toSession(row);
  }

  ofNode(node: string): Session[] {
    return (this.#ofNode.values(node.toLowerCase()) as Row[]).map(toSession);
  }

  /** IDs of the sessions that end when this check fails or goes. */
  ofCheck(node: string, checkId: string): string[] {
    return this.#ofCheck.values(node.toLowerCase(), checkId.toLowerCase())
      .map((row) => row[0] as string);
  }

  list(): Session[] {
    return (this.#all.values() as Row[]).map(toSession);
  }

  insert(session: Session): void {
    const { index } = this.#journal;
    this.restore({ ...session, createIndex: index, modifyIndex: index });
    this.#touch(session);
    const stored = { ...session, createIndex: index, modifyIndex: index };
    this.#journal.note({ deleted: false, kind: "session", session: stored });
  }

  remove(session: Session): void {
    this.#remove.run(session.id);
    this.#removeChecks.run(session.id);
    this.#journal.hash.remove(hashOf(session));
    this.#touch(session);
    this.#journal.note({ deleted: true, kind: "session", session });
  }

  /** A row with the indexes that it has. */
  restore(session: Session): void {
    const { id, createIndex, modifyIndex } = session;
    const node = session.node.toLowerCase();
    this.#insert.run(id, node, createIndex, modifyIndex, sessionBody(session));
    for (const check of sessionCheckIds(session)) {
      this.#insertCheck.run(node, check.toLowerCase(), id);
    }
    this.#journal.hash.add(hashOf(session));
    this.#journal.indexes.raise("sessions", modifyIndex);
  }

  #touch(session: Session): void {
    this.#journal.indexes.raise("sessions", this.#journal.index);
    this.#journal.touch(watchKey.sessions());
    this.#journal.touch(watchKey.session(session.id));
    this.#journal.touch(watchKey.nodeSessions(session.node));
  }
}

/** All checks that a session hangs on, of the node and of its services. */
export function sessionCheckIds(session: Session): string[] {
  const ids = [
    ...session.nodeChecks,
    ...session.serviceChecks.map((check) => check.id),
    ...session.checks,
  ];
  return [...new Set(ids)];
}

function toSession(row: Row): Session {
  return readRow(Session, row[2], row[0], row[1]);
}

function hashOf(session: Session): number {
  const { id, createIndex, modifyIndex } = session;
  return bodyHash("session", id, sessionBody(session), createIndex, modifyIndex);
}
