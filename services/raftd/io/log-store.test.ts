import { afterAll, expect, test } from "bun:test";
import { Database } from "bun:sqlite";
import { mkdtempSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Entry } from "../core/raft/messages.ts";
import { LogStore } from "./log-store.ts";

const folder = mkdtempSync(join(tmpdir(), "log-"));
afterAll(() => rmSync(folder, { recursive: true }));
let files = 0;
const newPath = () => join(folder, `log-${++files}.db`);

function entry(index: number, term = 1): Entry {
  const bytes = new TextEncoder().encode(`entry ${index} of term ${term}`);
  return { index, term, kind: "command", stampMs: 1000 + index, origin: "a", id: index, bytes };
}
const range = (from: number, to: number, term = 1) =>
  Array.from({ length: to - from + 1 }, (_, n) => entry(from + n, term));

test("what was written is there after reopening, with the first index of each term", () => {
  const path = newPath();
  const store = new LogStore(path);
  store.write([{ entries: range(1, 3) }, { entries: range(4, 5, 2) }]);
  store.close();
  const again = new LogStore(path);
  expect(again.open()).toMatchObject({
    base: { index: 0, term: 0 },
    lastIndex: 5,
    termStarts: [{ term: 1, firstIndex: 1 }, { term: 2, firstIndex: 4 }],
    configurations: [],
    stampMs: 1005,
    steps: [{ lastIndex: 5 }],
  });
  expect(again.read(2, 3, 1e6)).toMatchObject([entry(2), entry(3), entry(4, 2)]);
});

test("a conflicting suffix goes before the new entries come", () => {
  const store = new LogStore(newPath());
  store.write([{ entries: range(1, 5) }]);
  store.write([{ truncateFrom: 3, entries: range(3, 4, 2) }]);
  expect(store.read(1, 10, 1e6).map(({ index, term }) => [index, term])).toEqual([
    [1, 1],
    [2, 1],
    [3, 2],
    [4, 2],
  ]);
});

test("a failed change leaves nothing of its batch", () => {
  const store = new LogStore(newPath());
  store.write([{ entries: range(1, 2) }]);
  expect(() => store.write([{ entries: [entry(3)] }, { entries: [entry(3)] }])).toThrow();
  expect(store.open().lastIndex).toBe(2);
});

test("reads stop at the byte bound but give at least one entry", () => {
  const store = new LogStore(newPath());
  store.write([{ entries: range(1, 9) }]);
  expect(store.read(1, 9, 1)).toHaveLength(1);
  expect(store.read(10, 9, 1)).toEqual([]);
});

test("compaction keeps the base and frees rows in slices", () => {
  const store = new LogStore(newPath());
  store.write([{ entries: range(1, 2_000) }]);
  store.compact({ index: 1_500, term: 1 });
  let slices = 0;
  while (store.trimSlice()) slices++;
  expect(slices).toBeGreaterThan(2);
  expect(store.open()).toMatchObject({ base: { index: 1_500, term: 1 }, lastIndex: 2_000 });
  expect(store.read(1_500, 1, 1e6)).toEqual([]);
});

test("large entries are freed few at a time, and the write-ahead log shrinks", () => {
  const path = newPath();
  const store = new LogStore(path);
  const bytes = crypto.getRandomValues(new Uint8Array(60_000));
  for (let batch = 0; batch < 10; batch++) {
    store.write([{
      entries: range(batch * 40 + 1, batch * 40 + 40).map((one) => ({ ...one, bytes })),
    }]);
  }
  store.compact({ index: 395, term: 1 });
  const sizes = () => [path, `${path}-wal`].map((file) => statSync(file).size);
  expect(sizes()[0]).toBeGreaterThan(15_000_000);
  let slices = 0;
  while (store.trimSlice()) slices++;
  // 24 MB in slices of 2, then the pages.
  expect(slices).toBeGreaterThan(12);
  expect(sizes()[0]).toBeLessThan(6_000_000);
  expect(sizes()[1]).toBeLessThan(5_000_000);
  expect(store.read(396, 9, 1e9)).toHaveLength(5);
});

test("a compacted log opens with its first term, and goes on being freed", () => {
  const path = newPath();
  const store = new LogStore(path);
  store.write([{ entries: range(1, 2_000) }]);
  store.compact({ index: 1_500, term: 1 });
  store.close();
  const again = new LogStore(path);
  expect(again.open()).toMatchObject({
    base: { index: 1_500, term: 1 },
    lastIndex: 2_000,
    termStarts: [{ term: 1, firstIndex: 1_501 }],
  });
  while (again.trimSlice()) { /* in slices */ }
  expect(again.read(1, 1, 1e6)).toEqual([]);
  expect(again.read(1_501, 1, 1e6)).toHaveLength(1);
});

test("a reset begins the log again after a snapshot", () => {
  const store = new LogStore(newPath());
  store.write([{ entries: range(1, 4) }]);
  store.write([{ reset: { index: 90, term: 7 }, entries: [entry(91, 7)] }]);
  expect(store.open()).toMatchObject({ base: { index: 90, term: 7 }, lastIndex: 91 });
});

test("a damaged entry cuts the log there, and the old end is told", () => {
  const path = newPath();
  const store = new LogStore(path);
  store.write([{ entries: range(1, 6) }]);
  store.close();
  const db = new Database(path);
  db.run("UPDATE entries SET record = x'00' WHERE idx = 4");
  db.close();
  const again = new LogStore(path);
  expect(() => again.read(4, 1, 1e6)).toThrow("index 4 fails its checksum");
  expect(again.open()).toMatchObject({ lastIndex: 3, promised: { index: 6, term: 1 } });
  // It stays told until the log is whole again.
  expect(again.open()).toMatchObject({ lastIndex: 3, promised: { index: 6, term: 1 } });
  again.write([{ entries: range(4, 6, 2) }]);
  expect(again.open().promised).toBeUndefined();
});

test("a column that says something else than its record is damage as well", () => {
  for (const change of ["term = 9", "idx = 50", "is_configuration = 1"]) {
    const path = newPath();
    const store = new LogStore(path);
    store.write([{ entries: range(1, 6) }]);
    store.close();
    const db = new Database(path);
    db.run(`UPDATE entries SET ${change} WHERE idx = 5`);
    db.close();
    const { lastIndex, promised } = new LogStore(path).open();
    expect([change, lastIndex]).toEqual([change, 4]);
    expect(promised!.index).toBeGreaterThan(5);
  }
});
