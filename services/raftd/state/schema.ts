// The tables of a state file. Keys that compare without case are stored lower-cased; the row as it
// was given is the protobuf `body`, with sorted maps and both indexes zero, so that equal rows have
// equal bytes.

import type { Database } from "bun:sqlite";

/** Raised when the tables change in a way that an older release cannot read. */
export const schemaVersion = 2;

// `value` and `body` come last: SQLite then reads the columns before them without touching the
// overflow pages of a long value.
const statements = [
  `CREATE TABLE applied (
    id INTEGER PRIMARY KEY CHECK (id = 1),
    log_index INTEGER NOT NULL, term INTEGER NOT NULL, stamp_ms INTEGER NOT NULL,
    configuration_index INTEGER NOT NULL, generation INTEGER NOT NULL, content_hash INTEGER NOT NULL,
    index_base INTEGER NOT NULL, restored_index INTEGER NOT NULL, restore_id TEXT NOT NULL,
    configuration BLOB NOT NULL)`,
  // Not part of the content: pieces of an archive wait here until the restore.
  `CREATE TABLE restore_pieces (id INTEGER PRIMARY KEY, restore_id TEXT NOT NULL,
    start INTEGER NOT NULL, bytes BLOB NOT NULL)`,
  `CREATE UNIQUE INDEX restore_pieces_start ON restore_pieces (restore_id, start)`,
  `CREATE TABLE indexes (name TEXT PRIMARY KEY, value INTEGER NOT NULL) WITHOUT ROWID`,
  `CREATE TABLE clients (client TEXT PRIMARY KEY, outcomes BLOB NOT NULL)`,

  `CREATE TABLE kv (
    id INTEGER PRIMARY KEY, key BLOB NOT NULL,
    create_index INTEGER NOT NULL, modify_index INTEGER NOT NULL, lock_index INTEGER NOT NULL,
    session TEXT NOT NULL, flags BLOB, value BLOB)`,
  `CREATE UNIQUE INDEX kv_key ON kv (key)`,
  `CREATE INDEX kv_session ON kv (session, key) WHERE session <> ''`,
  `CREATE TABLE tombstones (key BLOB PRIMARY KEY, log_index INTEGER NOT NULL) WITHOUT ROWID`,
  `CREATE INDEX tombstones_index ON tombstones (log_index, key)`,
  `CREATE TABLE lock_delays (key BLOB PRIMARY KEY, until_ms INTEGER NOT NULL) WITHOUT ROWID`,
  `CREATE INDEX lock_delays_until ON lock_delays (until_ms, key)`,

  `CREATE TABLE nodes (
    id INTEGER PRIMARY KEY, peer TEXT NOT NULL, name TEXT NOT NULL, node_id TEXT NOT NULL,
    create_index INTEGER NOT NULL, modify_index INTEGER NOT NULL, body BLOB NOT NULL)`,
  `CREATE UNIQUE INDEX nodes_name ON nodes (peer, name)`,
  `CREATE INDEX nodes_id ON nodes (peer, node_id) WHERE node_id <> ''`,
  `CREATE TABLE services (
    id INTEGER PRIMARY KEY, peer TEXT NOT NULL, node TEXT NOT NULL, service_id TEXT NOT NULL,
    name TEXT NOT NULL, kind TEXT NOT NULL, mesh TEXT NOT NULL,
    create_index INTEGER NOT NULL, modify_index INTEGER NOT NULL, body BLOB NOT NULL)`,
  `CREATE UNIQUE INDEX services_id ON services (peer, node, service_id)`,
  `CREATE INDEX services_name ON services (peer, name, node, service_id)`,
  `CREATE INDEX services_mesh ON services (peer, mesh, node, service_id) WHERE mesh <> ''`,
  `CREATE TABLE checks (
    id INTEGER PRIMARY KEY, peer TEXT NOT NULL, node TEXT NOT NULL, check_id TEXT NOT NULL,
    service_id TEXT NOT NULL, service_name TEXT NOT NULL, status TEXT NOT NULL,
    create_index INTEGER NOT NULL, modify_index INTEGER NOT NULL, body BLOB NOT NULL)`,
  `CREATE UNIQUE INDEX checks_id ON checks (peer, node, check_id)`,
  `CREATE INDEX checks_service ON checks (peer, service_name, node, check_id)`,
  `CREATE INDEX checks_instance ON checks (peer, node, service_id, check_id)`,
  `CREATE INDEX checks_status ON checks (peer, status, node, check_id)`,

  `CREATE TABLE sessions (
    id INTEGER PRIMARY KEY, session_id TEXT NOT NULL, node TEXT NOT NULL,
    create_index INTEGER NOT NULL, modify_index INTEGER NOT NULL, body BLOB NOT NULL)`,
  `CREATE UNIQUE INDEX sessions_id ON sessions (session_id)`,
  `CREATE INDEX sessions_node ON sessions (node, session_id)`,
  `CREATE TABLE session_checks (
    node TEXT NOT NULL, check_id TEXT NOT NULL, session_id TEXT NOT NULL,
    PRIMARY KEY (node, check_id, session_id)) WITHOUT ROWID`,
  `CREATE INDEX session_checks_session ON session_checks (session_id)`,
  `CREATE TABLE coordinates (
    id INTEGER PRIMARY KEY, node TEXT NOT NULL, segment TEXT NOT NULL, body BLOB NOT NULL)`,
  `CREATE UNIQUE INDEX coordinates_node ON coordinates (node, segment)`,
  `CREATE TABLE documents (
    id INTEGER PRIMARY KEY, kind TEXT NOT NULL, doc_id TEXT NOT NULL, session TEXT NOT NULL,
    create_index INTEGER NOT NULL, modify_index INTEGER NOT NULL, body BLOB NOT NULL,
    secret BLOB NOT NULL)`,
  `CREATE UNIQUE INDEX documents_id ON documents (kind, doc_id)`,
  `CREATE INDEX documents_session ON documents (session, doc_id) WHERE session <> ''`,

  `INSERT INTO applied VALUES (1, 0, 0, 0, 0, 1, 0, 0, 0, '', x'')`,
];

/** Columns that never leave the server: not in logs, in streams to non-owners, in SQL for users. */
export const secretColumns = ["documents.secret", "clients.outcomes"] as const;

/** Makes the tables in an empty file; refuses the file of a newer release. */
export function prepareSchema(db: Database): void {
  const { user_version: found } = db.query("PRAGMA user_version").get() as { user_version: number };
  if (found === schemaVersion) return;
  if (found !== 0) {
    throw new Error(
      `Expected a state file of schema ${schemaVersion} but found ${found}: ` +
        "it was written by another release of curia",
    );
  }
  db.transaction(() => {
    for (const statement of statements) db.run(statement);
    db.run(`PRAGMA user_version = ${schemaVersion}`);
  })();
}
