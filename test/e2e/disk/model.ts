// What the writers of a run were told, against the rows that a server has: keys that no two writers
// share, so that each has the value of its last acknowledged write or of one tried since.

import { Database } from "bun:sqlite";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import type { Random } from "#shared/random.ts";
import { until } from "../node.ts";
import type { DiskServer } from "./server.ts";

const text = new TextEncoder();

export class Model {
  /** Of each key what it may hold: acknowledged last, then what has been tried since. */
  readonly #allowed = new Map<string, string[]>();
  readonly #random: Random;
  acknowledged = 0;
  unknown = 0;
  lastError = "";
  #next = 0;

  constructor(random: Random) {
    this.#random = random;
  }

  /** One write; false when nobody said that it was done. */
  async write(server: DiskServer, writer: number): Promise<boolean> {
    const key = `w${writer}/${this.#random.below(40)}`;
    const value = `${++this.#next} ${"x".repeat(this.#random.below(4_000))}`;
    const allowed = this.#allowed.get(key) ?? [""];
    this.#allowed.set(key, [...allowed, value]);
    const command = { kv: { key: text.encode(key), value: text.encode(value) } };
    const isDone = await server.apply(command, 4_000).catch((error) => {
      this.lastError = `${server.name}: ${error}`;
      return false;
    });
    if (isDone) {
      this.#allowed.set(key, [value]);
      this.acknowledged++;
    } else this.unknown++;
    return isDone;
  }

  /** The keys that a server has not as they must be. */
  wrongIn(rows: ReadonlyMap<string, string>): string[] {
    const wrong: string[] = [];
    for (const [key, allowed] of this.#allowed) {
      const value = rows.get(key) ?? "";
      if (allowed.includes(value)) {
        // Whatever it is by now, it stays.
        this.#allowed.set(key, [value]);
      } else {wrong.push(`${key}: ${value.slice(0, 12)}, expected ${
          allowed.map((v) => v.slice(0, 12))
        }`);}
    }
    return wrong;
  }
}

export interface Content {
  index: number;
  hash: number;
  keys: Map<string, string>;
  /** A fingerprint of all rows of all tables, made here. */
  rows: string;
}

/** Everything that the state file of a server has, read beside it. */
export function contentOf(stateFile: string): Content {
  const db = new Database(stateFile, { readonly: true });
  try {
    db.run("BEGIN");
    const applied = db.query("SELECT log_index, content_hash FROM applied").values()[0]!;
    const [index, hash] = applied as [number, number];
    const tables = db.query("SELECT name FROM sqlite_master WHERE type = 'table' ORDER BY name")
      .values().map(([name]) => name as string);
    const hasher = new Bun.CryptoHasher("sha1");
    for (const table of tables) {
      // Row numbers are each file's own.
      const columns = db.query(
        `SELECT name FROM pragma_table_info('${table}') WHERE NOT (name = 'id' AND type = 'INTEGER')`,
      )
        .values().join(", ");
      const rows = db.query(`SELECT ${columns} FROM ${table}`).values()
        .map((row) => JSON.stringify(row.map(plain))).sort();
      hasher.update(JSON.stringify([table, rows]));
    }
    const keys = new Map<string, string>();
    for (const row of db.query("SELECT key, value FROM kv").values() as Uint8Array[][]) {
      keys.set(Buffer.from(row[0]!).toString(), Buffer.from(row[1]!).toString());
    }
    return { index, hash, keys, rows: hasher.digest("hex") };
  } finally {
    db.close();
  }
}

function plain(value: unknown): unknown {
  return value instanceof Uint8Array ? Buffer.from(value).toString("base64") : value;
}

/** Waits until all of them have applied the same, and nothing more comes. */
export async function settled(servers: readonly DiskServer[]): Promise<void> {
  let seen = "";
  await until(
    "all servers have applied the same",
    30_000,
    async () => {
      const stats = await Promise.all(servers.map((server) => server.stats()));
      seen = JSON.stringify(stats);
      const [first] = stats;
      return first !== undefined &&
        stats.every((one) =>
          one?.appliedIndex === first.lastLogIndex && one.lastLogIndex === first.lastLogIndex
        );
    },
    () => `${seen}\n${servers.map((server) => server.log.slice(-2_000)).join("\n")}`,
  );
}

/** The state that its pointer names. */
export function stateFileOf({ raftFolder }: DiskServer): string {
  return join(raftFolder, readFileSync(join(raftFolder, "state.current"), "utf8").trim());
}
