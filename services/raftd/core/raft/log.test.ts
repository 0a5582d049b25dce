import { expect, test } from "bun:test";
import { Random } from "#shared/random.ts";
import { Log } from "./log.ts";
import type { Entry } from "./messages.ts";

function entry(index: number, term: number, size = 1): Entry {
  const bytes = new Uint8Array(size);
  return { index, term, kind: "command", stampMs: 0, origin: "a", id: index, bytes };
}

function emptyLog(): Log {
  return new Log({ index: 0, term: 0 }, 0, [], []);
}

function logOf(...terms: number[]): Log {
  const log = emptyLog();
  log.append(terms.map((term, i) => entry(i + 1, term)));
  return log;
}

test("knows the term of every entry, also of the base, and of none beyond", () => {
  const log = logOf(1, 1, 2, 4, 4);
  log.compactThrough(2);
  expect([0, 1, 2, 3, 4, 5, 6].map((i) => log.termAt(i)))
    .toEqual([undefined, undefined, 1, 2, 4, 4, undefined]);
  expect(log.base).toEqual({ index: 2, term: 1 });
});

test("finds where a term begins and where terms up to one end", () => {
  const log = logOf(1, 1, 2, 2, 5, 5);
  expect(log.termFirstIndex(4)).toBe(3);
  expect(log.lastIndexOfTermUpTo(4, 6)).toBe(4);
  expect(log.lastIndexOfTermUpTo(5, 5)).toBe(5);
  expect(log.lastIndexOfTermUpTo(1, 4)).toBe(2);
  expect(log.lastIndexOfTermUpTo(0, 6)).toBe(0);
});

test("a log is up to date by its last term first, then by its length", () => {
  const log = logOf(1, 2, 2);
  expect(log.isUpToDate(3, 1)).toBe(true);
  expect(log.isUpToDate(2, 3)).toBe(true);
  expect(log.isUpToDate(2, 2)).toBe(false);
  expect(log.isUpToDate(1, 9)).toBe(false);
});

test("a slice keeps to its bounds but gives at least one entry", () => {
  const log = emptyLog();
  log.append([entry(1, 1, 500), entry(2, 1, 500), entry(3, 1, 500)]);
  const indexes = (count: number, bytes: number) => log.slice(1, count, bytes)?.map((e) => e.index);
  expect(indexes(2, 10_000)).toEqual([1, 2]);
  expect(indexes(9, 1_200)).toEqual([1, 2]);
  expect(indexes(9, 1)).toEqual([1]);
});

test("the cache lets go only of what is on disk", () => {
  const log = emptyLog();
  log.append(Array.from({ length: 100 }, (_, i) => entry(i + 1, 1)));
  log.evict(0, 10, 1_000_000);
  expect(log.cacheFirst).toBe(1);
  log.evict(60, 10, 1_000_000);
  expect(log.cacheFirst).toBe(61);
  expect(log.slice(60, 1, 1)).toBeUndefined();
  expect(log.termAt(5)).toBe(1);
});

test("refuses a gap and a term that falls", () => {
  expect(() => logOf(1).append([entry(3, 1)])).toThrow("without a gap");
  expect(() => logOf(2).append([entry(2, 1)])).toThrow("never fall");
});

test("agrees with a plain array through any changes", () => {
  const seed = 20_26;
  const random = new Random(seed);
  const log = emptyLog();
  let terms: number[] = [];
  let base = 0, baseTerm = 0, term = 1;
  for (let round = 0; round < 3_000; round++) {
    const last = base + terms.length;
    const dice = random.fraction();
    if (dice < 0.6) {
      if (random.chance(0.2)) term++;
      const added = Array.from({ length: random.below(4) }, (_, i) => entry(last + 1 + i, term));
      log.append(added);
      terms.push(...added.map((e) => e.term));
    } else if (dice < 0.8 && terms.length > 0) {
      const from = base + 1 + random.below(terms.length);
      log.truncateFrom(from);
      terms = terms.slice(0, from - base - 1);
    } else if (dice < 0.9 && terms.length > 0) {
      const through = base + 1 + random.below(terms.length);
      baseTerm = terms[through - base - 1]!;
      terms = terms.slice(through - base);
      base = through;
      log.compactThrough(through);
    } else log.evict(last, 5, 100_000);
    expect(log.lastIndex).toBe(base + terms.length);
    expect(log.lastTerm).toBe(terms.at(-1) ?? baseTerm);
    for (let i = base; i <= log.lastIndex + 1; i++) {
      const right = i === base ? baseTerm : terms[i - base - 1];
      expect(log.termAt(i), `seed ${seed} round ${round} index ${i}`).toBe(right);
    }
    const cached = log.slice(log.cacheFirst, 1_000, 1_000_000)!;
    for (const e of cached) expect(e.term).toBe(terms[e.index - base - 1]!);
  }
});
