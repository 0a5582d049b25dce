// One suite for both stores of log, term and vote: the simulator's disk and raftd's log.db and vote
// file. What the simulator proves about the first holds for the second as far as they agree.

import { afterAll, describe, expect, test } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Random } from "#shared/random.ts";
import { encodeConfiguration } from "../../services/raftd/core/raft/membership.ts";
import type { Entry } from "../../services/raftd/core/raft/messages.ts";
import { type Change, SimSubject, SqliteSubject, type Subject } from "./disk-subjects.ts";

const folder = mkdtempSync(join(tmpdir(), "curia-conformance-"));
afterAll(() => rmSync(folder, { recursive: true }));
let folders = 0;

function entry(index: number, term: number, kind: Entry["kind"] = "command"): Entry {
  const bytes = kind === "configuration"
    ? encodeConfiguration([{ id: `s${index}`, address: "a:1", suffrage: "voter" }])
    : new TextEncoder().encode(`entry ${index} of term ${term}`);
  return { index, term, kind, stampMs: 1_000 + index, origin: "a", id: index, bytes };
}
const range = (from: number, to: number, term = 1) =>
  Array.from({ length: to - from + 1 }, (_, n) => entry(from + n, term));

const subjects: [string, () => Subject][] = [
  ["the simulator's disk", () => new SimSubject()],
  ["SQLite", () => new SqliteSubject(join(folder, String(++folders)))],
];

describe.each(subjects)("%s", (_, open) => {
  test("is empty at first", () => {
    expect(open().reopen()).toEqual({
      hardState: { term: 0, votedFor: "" },
      base: { index: 0, term: 0 },
      lastIndex: 0,
      termStarts: [],
      configurations: [],
      stampMs: 0,
      promised: undefined,
      entries: [],
    });
  });

  test("has what was written, with the first index of each term", () => {
    const disk = open();
    disk.write({ entries: range(1, 3) });
    disk.write({ entries: [...range(4, 5, 2), entry(6, 3)] });
    const opened = disk.reopen();
    expect(opened.entries).toEqual([...range(1, 3), ...range(4, 5, 2), entry(6, 3)]);
    expect(opened.termStarts).toEqual([
      { term: 1, firstIndex: 1 },
      { term: 2, firstIndex: 4 },
      { term: 3, firstIndex: 6 },
    ]);
    expect([opened.lastIndex, opened.stampMs]).toEqual([6, 1_006]);
  });

  test("cuts a suffix before the new entries come", () => {
    const disk = open();
    disk.write({ entries: range(1, 5) });
    disk.write({ truncateFrom: 3, entries: range(3, 4, 2) });
    expect(disk.reopen().entries).toEqual([...range(1, 2), ...range(3, 4, 2)]);
    disk.write({ truncateFrom: 1 });
    expect(disk.reopen()).toMatchObject({ lastIndex: 0, termStarts: [], entries: [] });
  });

  test("keeps the newest vote, with entries or alone", () => {
    const disk = open();
    disk.write({ hardState: { term: 3, votedFor: "b" } });
    expect(disk.reopen().hardState).toEqual({ term: 3, votedFor: "b" });
    disk.write({ hardState: { term: 4, votedFor: "" }, entries: range(1, 1, 4) });
    disk.write({ entries: range(2, 2, 4) });
    expect(disk.reopen()).toMatchObject({ hardState: { term: 4, votedFor: "" }, lastIndex: 2 });
  });

  test("knows the configurations that are not compacted", () => {
    const disk = open();
    disk.write({
      entries: [entry(1, 1, "configuration"), entry(2, 1), entry(3, 1, "configuration")],
    });
    expect(disk.reopen().configurations.map(({ index }) => index)).toEqual([1, 3]);
    disk.compact({ index: 2, term: 1 });
    const [left, ...others] = disk.reopen().configurations;
    expect(left!.servers).toEqual([{ id: "s3", address: "a:1", suffrage: "voter" }]);
    expect(others).toEqual([]);
  });

  test.each([600, 601])("begins after what was compacted through %d", (index) => {
    const disk = open();
    disk.write({ entries: [...range(1, 500), ...range(501, 1_000, 2)] });
    disk.compact({ index, term: 2 });
    const opened = disk.reopen();
    expect(opened).toMatchObject({
      base: { index, term: 2 },
      lastIndex: 1_000,
      termStarts: [{ term: 2, firstIndex: index + 1 }],
    });
    expect(opened.entries).toEqual(range(index + 1, 1_000, 2));
    disk.compact({ index: 1_000, term: 2 });
    disk.write({ entries: range(1_001, 1_002, 3) });
    expect(disk.reopen().entries).toEqual(range(1_001, 1_002, 3));
  });

  test("begins anew after a snapshot, at once with entries or without", () => {
    const disk = open();
    disk.write({ entries: range(1, 4) });
    disk.write({ reset: { index: 90, term: 7 }, entries: range(91, 92, 7) });
    expect(disk.reopen()).toMatchObject({
      base: { index: 90, term: 7 },
      lastIndex: 92,
      entries: range(91, 92, 7),
    });
    disk.write({ reset: { index: 200, term: 8 } });
    expect(disk.reopen()).toMatchObject({
      base: { index: 200, term: 8 },
      lastIndex: 200,
      entries: [],
    });
  });

  test("cuts the log at a damaged entry, and remembers how far it went", () => {
    const disk = open();
    disk.write({ entries: range(1, 8) });
    const promised = { index: 8, term: 1 };
    expect(disk.reopen(5)).toMatchObject({ lastIndex: 4, entries: range(1, 4), promised });
    expect(disk.reopen(3)).toMatchObject({ lastIndex: 2, entries: range(1, 2), promised });
    disk.write({ entries: range(3, 7) });
    expect(disk.reopen()).toMatchObject({ lastIndex: 7, promised });
    disk.write({ entries: range(8, 8) });
    expect(disk.reopen().promised).toBeUndefined();
  });
});

test("both give the same after any sequence of changes", () => {
  const seed = Math.floor(Math.random() * 2 ** 31);
  const random = new Random(seed);
  for (let round = 0; round < 20; round++) {
    const both = subjects.map(([, open]) => open());
    let base = { index: 0, term: 0 }, entries: Entry[] = [], term = 1;
    for (let step = 0; step < 40; step++) {
      const lastIndex = base.index + entries.length;
      const dice = random.fraction();
      let change: Change = {};
      if (random.chance(0.2)) term++;
      if (dice < 0.6) {
        const isCut = entries.length > 0 && random.chance(0.2);
        const from = isCut ? base.index + 1 + random.below(entries.length) : lastIndex + 1;
        // What is cut is at once replaced, by entries of a later term.
        if (isCut) term++;
        const added = Array.from(
          { length: random.below(5) + Number(isCut) },
          (_, n) => entry(from + n, term, random.chance(0.2) ? "configuration" : "command"),
        );
        change = { entries: added };
        if (isCut) change.truncateFrom = from;
        entries = [...entries.filter(({ index }) => index < from), ...added];
      } else if (dice < 0.65) {
        base = { index: lastIndex + random.below(9), term };
        change = { reset: base };
        entries = [];
      } else if (dice < 0.8 && entries.length > 0) {
        const through = entries[random.below(entries.length)]!;
        base = { index: through.index, term: through.term };
        for (const disk of both) disk.compact(base);
        entries = entries.filter(({ index }) => index > through.index);
      }
      if (random.chance(0.3)) change.hardState = { term, votedFor: random.pick(["", "a", "b"]) };
      for (const disk of both) disk.write(change);
      const isHit = entries.length > 0 && random.chance(0.05);
      const damaged = isHit ? base.index + 1 + random.below(entries.length) : undefined;
      if (damaged === undefined && random.chance(0.6)) continue;
      const [simulated, stored] = both.map((disk) => disk.reopen(damaged));
      const where = `seed ${seed}, round ${round}, step ${step}`;
      if (damaged !== undefined) entries = entries.filter(({ index }) => index < damaged);
      expect({ where, ...stored! }).toEqual({ where, ...simulated! });
      expect({ where, base: stored!.base, entries: stored!.entries })
        .toEqual({ where, base, entries });
      // As the core does: it takes nothing of an older term after it promised.
      term = Math.max(term, simulated!.promised ? simulated!.promised.term + 1 : 0);
    }
  }
}, 60_000);
