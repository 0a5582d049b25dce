import { afterEach, expect, test } from "bun:test";
import { Database } from "bun:sqlite";
import { existsSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Entry } from "../core/raft/messages.ts";
import { bytes, commandEntry } from "../state/fixture-store.ts";
import { LogStore } from "./log-store.ts";
import { StateFiles } from "./state-files.ts";
import { noteDamage, repairState } from "./state-repair.ts";

const folders: string[] = [];
afterEach(() => {
  for (const folder of folders.splice(0)) rmSync(folder, { recursive: true });
});

const said: string[] = [];
const log = {
  warn: (_: unknown, text: string) => said.push(`warn ${text}`),
  error: (_: unknown, text: string) => said.push(`error ${text}`),
} as never;

/** A state of 20 entries over a log of 30, which begins after `compacted`. */
function server(compacted: number): string {
  const folder = mkdtempSync(join(tmpdir(), "curia-state-repair-"));
  folders.push(folder);
  said.length = 0;
  const entries = Array.from({ length: 30 }, (_, n) => {
    const kv = { key: bytes(`k${n}`), value: bytes("v".repeat(400)) };
    return commandEntry(n + 1, { kv });
  });
  const files = StateFiles.open(folder);
  files.current.apply(entries.slice(0, 20));
  files.current.checkpoint();
  files.close();
  const store = new LogStore(join(folder, "log.db"));
  store.write([{ entries: entries.map((one): Entry => ({ ...one, origin: "", id: 0 })) }]);
  if (compacted > 0) store.compact({ index: compacted, term: 1 });
  store.close();
  return folder;
}

function contentOf(folder: string) {
  const store = new LogStore(join(folder, "log.db"));
  const { base, lastIndex, promised } = store.open();
  store.close();
  const files = StateFiles.open(folder);
  const { index } = files.applied();
  files.close();
  return { base: base.index, lastIndex, promised, applied: index };
}

function changeRow(folder: string): void {
  const db = new Database(join(folder, "state-1.db"));
  db.run("UPDATE kv SET value = x'00' WHERE id = 7");
  db.close();
}

test("a damaged state goes, and with it a log that cannot bring it back", () => {
  const folder = server(10);
  changeRow(folder);
  noteDamage(folder);
  repairState(folder, log);
  expect(said[0]).toMatch(/^error the state file is damaged/);
  const expected = { base: 0, lastIndex: 0, promised: { index: 30, term: 1 }, applied: 0 };
  expect(contentOf(folder)).toEqual(expected);
  expect(existsSync(join(folder, "state.damaged"))).toBe(false);
  expect(readdirSync(folder).filter((name) => /^state-\d+\.db$/.test(name))).toEqual([
    "state-2.db",
  ]);
  // What it promised is not forgotten when that happens again.
  noteDamage(folder);
  writeFileSync(join(folder, "state-2.db"), "x".repeat(9_000));
  repairState(folder, log);
  expect(contentOf(folder)).toEqual(expected);
});

test("with a log from the first entry on, the state is made of it again", () => {
  const folder = server(0);
  changeRow(folder);
  noteDamage(folder);
  repairState(folder, log);
  expect(contentOf(folder)).toEqual({ base: 0, lastIndex: 30, promised: undefined, applied: 0 });
});

test("a file that is no database is noticed without being noted", () => {
  const folder = server(10);
  writeFileSync(join(folder, "state-1.db"), "x".repeat(9_000));
  repairState(folder, log);
  expect(said[0]).toMatch(/^error/);
  expect(contentOf(folder)).toMatchObject({ applied: 0, promised: { index: 30, term: 1 } });
});

test("a whole state stays, noted or not", () => {
  const folder = server(10);
  repairState(folder, log);
  expect(said).toEqual([]);
  noteDamage(folder);
  repairState(folder, log);
  expect(said[0]).toMatch(/^warn .* is whole$/);
  expect(contentOf(folder)).toEqual({ base: 10, lastIndex: 30, promised: undefined, applied: 20 });
});
