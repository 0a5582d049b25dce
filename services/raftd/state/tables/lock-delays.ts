// Keys that nobody may lock yet, because the session that held them may not know that it ended.

import type { Database, Statement } from "bun:sqlite";
import { hashTables, rowHash } from "../hash.ts";
import type { Journal } from "../journal.ts";

const none = new Uint8Array(0);

export class LockDelays {
  readonly #journal: Journal;
  readonly #one: Statement;
  readonly #put: Statement;
  readonly #expired: Statement;
  readonly #remove: Statement;

  constructor(db: Database, journal: Journal) {
    this.#journal = journal;
    this.#one = db.prepare("SELECT until_ms FROM lock_delays WHERE key = ?");
    this.#put = db.prepare("INSERT OR REPLACE INTO lock_delays (key, until_ms) VALUES (?, ?)");
    this.#expired = db.prepare(
      "SELECT key, until_ms FROM lock_delays WHERE until_ms <= ? ORDER BY until_ms, key",
    );
    this.#remove = db.prepare("DELETE FROM lock_delays WHERE key = ?");
  }

  /** By replicated time. */
  isDelayed(key: Uint8Array): boolean {
    const untilMs = this.#untilMs(key);
    return untilMs !== undefined && untilMs > this.#journal.stampMs;
  }

  delay(key: Uint8Array, delayMs: number): void {
    const { stampMs, hash } = this.#journal;
    for (const [expired, oldMs] of this.#expired.values(stampMs) as [Uint8Array, number][]) {
      hash.remove(hashOf(expired, oldMs));
      this.#remove.run(expired);
    }
    const replacedMs = this.#untilMs(key);
    if (replacedMs !== undefined) hash.remove(hashOf(key, replacedMs));
    this.#put.run(key, stampMs + delayMs);
    hash.add(hashOf(key, stampMs + delayMs));
  }

  #untilMs(key: Uint8Array): number | undefined {
    return this.#one.values(key)[0]?.[0] as number | undefined;
  }
}

function hashOf(key: Uint8Array, untilMs: number): number {
  return rowHash(hashTables.lockDelay, key, none, 0, untilMs);
}
