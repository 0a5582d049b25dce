// What the command that is being applied has changed so far, so that it can be told or taken back.

import type { Database, Statement } from "bun:sqlite";
import type {
  Check,
  Coordinate,
  Document,
  KvEntry,
  Node,
  Service,
  Session,
} from "#proto/messages.js";
import { ContentHash } from "./hash.ts";
import { Indexes } from "./indexes.ts";

/** A changed row, in the form of the change stream; of a deleted one the keys are set. */
export type StateChange =
  | { readonly deleted: boolean; readonly kind: "node"; readonly node: Node }
  | { readonly deleted: boolean; readonly kind: "service"; readonly service: Service }
  | { readonly deleted: boolean; readonly kind: "check"; readonly check: Check }
  | { readonly deleted: boolean; readonly kind: "kv"; readonly kv: KvEntry }
  | { readonly deleted: boolean; readonly kind: "session"; readonly session: Session }
  | { readonly deleted: boolean; readonly kind: "document"; readonly document: Document }
  | { readonly deleted: boolean; readonly kind: "coordinate"; readonly coordinate: Coordinate };

/** All changes of one log index, in the order in which they were made. */
export interface ChangeGroup {
  readonly index: number;
  readonly changes: readonly StateChange[];
}

export class Journal {
  /** Log index and replicated time of the command in hand. */
  index = 0;
  stampMs = 0;
  readonly hash = new ContentHash();
  readonly indexes: Indexes;
  #changes: StateChange[] = [];
  #touches: string[] = [];
  #groups: ChangeGroup[] = [];
  #touched = new Map<string, number>();
  #marked: { changes: number; touches: number; hash: number } | undefined;
  readonly #undoListeners: (() => void)[] = [];
  readonly #savepoint: Statement;
  readonly #rollback: Statement;
  readonly #release: Statement;

  constructor(db: Database) {
    this.indexes = new Indexes(db, this.hash);
    this.#savepoint = db.prepare("SAVEPOINT command");
    this.#rollback = db.prepare("ROLLBACK TO command");
    this.#release = db.prepare("RELEASE command");
  }

  note(change: StateChange): void {
    this.#changes.push(change);
  }

  /** Wakes who watches this key (watch.ts names them). */
  touch(key: string): void {
    this.#touches.push(key);
  }

  /** For what is remembered outside of the journal. */
  onUndo(listener: () => void): void {
    this.#undoListeners.push(listener);
  }

  /** Runs `work`; when it answers false, all it did is undone. Does not nest. */
  attempt(work: () => boolean): boolean {
    this.#savepoint.run();
    this.indexes.mark();
    this.#marked = {
      changes: this.#changes.length,
      touches: this.#touches.length,
      hash: this.hash.sum,
    };
    const kept = work();
    if (!kept) this.#undo(this.#marked);
    this.indexes.release();
    this.#release.run();
    this.#marked = undefined;
    return kept;
  }

  /** The commands of the present index are done. */
  finishIndex(): void {
    if (this.#changes.length > 0) {
      this.#groups.push({ index: this.index, changes: this.#changes });
      this.#changes = [];
    }
    for (const key of this.#touches) this.#touched.set(key, this.index);
    this.#touches.length = 0;
  }

  /** What the batch changed; begins the next one. */
  take(): { groups: ChangeGroup[]; touched: Map<string, number> } {
    const taken = { groups: this.#groups, touched: this.#touched };
    this.#groups = [];
    this.#touched = new Map();
    return taken;
  }

  #undo(mark: { changes: number; touches: number; hash: number }): void {
    this.#rollback.run();
    this.indexes.rollback();
    this.hash.sum = mark.hash;
    this.#changes.length = mark.changes;
    this.#touches.length = mark.touches;
    for (const listener of this.#undoListeners) listener();
  }
}
