import { afterAll, expect, test } from "bun:test";
import {
  closeSync,
  copyFileSync,
  mkdtempSync,
  openSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Random } from "#shared/random.ts";
import type { Entry } from "../core/raft/messages.ts";
import { openLog } from "./log-repair.ts";
import { LogStore } from "./log-store.ts";

const folder = mkdtempSync(join(tmpdir(), "curia-repair-"));
afterAll(() => rmSync(folder, { recursive: true }));
const path = join(folder, "log.db");
const applied = { index: 40, term: 2 };

function entry(index: number): Entry {
  const bytes = new TextEncoder().encode(`entry ${index} ${"x".repeat(300)}`);
  return { index, term: 2, kind: "command", stampMs: 0, origin: "a", id: index, bytes };
}

function written(count: number): void {
  for (const name of readdirSync(folder)) rmSync(join(folder, name));
  const log = new LogStore(path);
  log.write([{ entries: Array.from({ length: count }, (_, n) => entry(n + 1)) }]);
  log.close();
}

function overwrite(at: number, bytes: Uint8Array): void {
  const fd = openSync(path, "r+");
  writeSync(fd, bytes, 0, bytes.length, at);
  closeSync(fd);
}

test("a file whose head is lost begins anew at the state, and its end is unknown", () => {
  written(100);
  overwrite(0, new Uint8Array(4_096));
  const { log, content } = openLog(path, applied, 3);
  expect(content).toMatchObject({ base: applied, lastIndex: 40, termStarts: [] });
  expect(content.promised).toEqual({ index: Number.MAX_SAFE_INTEGER, term: 3 });
  log.write([{ entries: [entry(41)] }]);
  log.close();
  expect(openLog(path, applied, 3).content).toMatchObject({ lastIndex: 41, promised: { term: 3 } });
});

test("a crash while it is replaced is finished at the next start", () => {
  written(100);
  const old = join(folder, "old");
  copyFileSync(path, old);
  overwrite(0, new Uint8Array(4_096));
  openLog(path, applied, 3).log.close();
  // As it was before the last step: the new log is made, the old one still there, and sound again.
  copyFileSync(path, `${path}.new`);
  copyFileSync(old, path);
  expect(openLog(path, applied, 3).content).toMatchObject({ lastIndex: 40, promised: { term: 3 } });
  expect(readdirSync(folder)).not.toContain("log.db.new");
});

test("wherever bytes are lost: never an entry that was not written, never a loss that is not told", () => {
  const seed = Math.floor(Math.random() * 1e9);
  const random = new Random(seed);
  let repairs = 0;
  for (let round = 0; round < 40; round++) {
    written(100);
    const { size } = statSync(path);
    const lost = new Uint8Array(1 + random.below(600)).map(() => random.below(256));
    const at = random.below(size - lost.length);
    const before = readFileSync(path);
    overwrite(at, lost);
    let content, entries: Entry[];
    try {
      const opened = openLog(path, applied, 3);
      content = opened.content;
      entries = opened.log.read(content.base.index + 1, 1_000, 1e9);
      opened.log.close();
    } catch (error) {
      // Refused with a reason is no silent loss.
      expect(String(error), `seed ${seed} round ${round}`).toMatch(/log\.db|SQLITE|database|disk/);
      continue;
    }
    const about = `seed ${seed} round ${round} at ${at} of ${before.length}`;
    for (const one of entries) expect(one, about).toEqual(entry(one.index));
    if (content.lastIndex < 100) expect(content.promised, about).toBeDefined();
    if (content.promised !== undefined) repairs++;
  }
  expect(repairs).toBeGreaterThan(10);
});
