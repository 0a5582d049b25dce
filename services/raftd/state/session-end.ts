// What ends with a session: its locks, and prepared queries bound to it.

import type { DocumentTable } from "./tables/documents.ts";
import type { KvTable } from "./tables/kv.ts";
import type { SessionTable } from "./tables/sessions.ts";

/** A longer lock delay is stored as given, but not applied. */
const lockDelayMaxMs = 60_000;

export class SessionEnd {
  readonly #sessions: SessionTable;
  readonly #kv: KvTable;
  readonly #documents: DocumentTable;

  constructor(tables: { sessions: SessionTable; kv: KvTable; documents: DocumentTable }) {
    this.#sessions = tables.sessions;
    this.#kv = tables.kv;
    this.#documents = tables.documents;
  }

  /** Nothing happens when there is no such session. */
  destroy(id: string): void {
    const session = this.#sessions.find(id);
    if (session === undefined) return;
    this.#sessions.remove(session);
    const delayMs = Math.min(Math.ceil(Number(session.lockDelayNs) / 1e6), lockDelayMaxMs);
    this.#kv.releaseHeld(id, session.behavior === "delete", delayMs);
    for (const query of this.#documents.ofSession(id)) this.#documents.remove(query);
  }

  destroyOfNode(node: string): void {
    for (const session of this.#sessions.ofNode(node)) this.destroy(session.id);
  }

  /** When the check has failed or is gone. */
  destroyOfCheck(node: string, checkId: string): void {
    for (const id of this.#sessions.ofCheck(node, checkId)) this.destroy(id);
  }
}
