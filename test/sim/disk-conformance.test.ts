// One suite for both stores of log, term and vote: the simulator's disk and raftd's log.db and vote
// file. What the simulator proves about the first holds for the second as far as they agree.

import { Database } from "bun:sqlite";
import { afterAll, describe, expect, test } from "bun:test";
import { mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Random } from "#shared/random.ts";
import type { HardState, TermStart } from "../../services/raftd/core/raft/machine.ts";
import { encodeConfiguration } from "../../services/raftd/core/raft/membership.ts";
import type { Configuration, Entry, LogPosition } from "../../services/raftd/core/raft/messages.ts";
import { LogStore } from "../../services/raftd/io/log-store.ts";
import { VoteFile } from "../../services/raftd/io/vote-file.ts";
import { emptyStateFile, SimDisk } from "./disk.ts";
import { kvStates } from "./kv.ts";

interface Change {
  hardState?: HardState;
  reset?: LogPosition;
  truncateFrom?: number;
  entries?: readonly Entry[];
}

/** What the core hears at the start. */
interface Opened {
  hardState: HardState;
  base: LogPosition;
  lastIndex: number;
  termStarts: readonly TermStart[];
  configurations: readonly Configuration[];
  stampMs: number;
  /** Undefined also where the log has grown beyond it, which the core takes for the same. */
  promised: LogPosition | undefined;
  entries: readonly Entry[];
}

interface Subject {
  /** Durable when it returns. */
  write(change: Change): void;
  compact(through: LogPosition): void;
  /** The process ends and starts again; with a damaged entry, if one is named. */
  reopen(damagedIndex?: number): Opened;
}

const folder = mkdtempSync(join(tmpdir(), "curia-conformance-"));
afterAll(() => rmSync(folder, { recursive: true }));
let folders = 0;

class SimSubject implements Subject {
  readonly #disk = new SimDisk(kvStates);
  #seq = 0;

  write({ entries = [], ...change }: Change): void {
    this.#disk.write({ kind: "persist", seq: ++this.#seq, ...change, entries });
    this.#disk.sync(this.#seq);
  }

  compact({ index, term }: LogPosition): void {
    this.#disk.compact(index, term);
  }

  reopen(damagedIndex?: number): Opened {
    const disk = this.#disk;
    disk.crash(new Random(1));
    if (damagedIndex !== undefined) {
      // The entry that is hit is drawn: draw until it is that one.
      const { lastIndex, base } = disk;
      const at = (damagedIndex - base.index - 0.5) / (lastIndex - base.index);
      expect(disk.damage({ below: (n: number) => Math.floor(at * n) } as Random, 0)).toBe(true);
    }
    const restored = disk.restored(emptyStateFile(kvStates), new Random(1));
    const { hardState, base, lastIndex, termStarts, configurations, stampMs } = restored;
    const promised = unlessRepaired(restored.promised, disk.entries.at(-1) ?? base);
    const entries = disk.entries;
    return { hardState, base, lastIndex, termStarts, configurations, stampMs, promised, entries };
  }
}

class SqliteSubject implements Subject {
  readonly #folder = join(folder, String(++folders));
  #log: LogStore;
  #votes: VoteFile;

  constructor() {
    mkdirSync(this.#folder);
    this.#log = this.#openLog();
    this.#votes = this.#openVotes();
  }

  #openLog(): LogStore {
    const log = new LogStore(join(this.#folder, "log.db"));
    log.open();
    return log;
  }

  #openVotes(): VoteFile {
    return new VoteFile(join(this.#folder, "vote"));
  }

  write({ hardState, entries = [], ...change }: Change): void {
    if (hardState !== undefined) this.#votes.save(hardState);
    this.#log.write([{ ...change, entries }]);
  }

  compact(through: LogPosition): void {
    this.#log.compact(through);
    // Interrupted as often as not.
    if (through.index % 2 === 0) { while (this.#log.trimSlice()) { /* in slices */ } }
  }

  reopen(damagedIndex?: number): Opened {
    this.#log.close();
    this.#votes.close();
    if (damagedIndex !== undefined) {
      const db = new Database(join(this.#folder, "log.db"));
      db.run("UPDATE entries SET record = x'00' || substr(record, 2) WHERE idx = ?", [
        damagedIndex,
      ]);
      db.close();
    }
    this.#log = new LogStore(join(this.#folder, "log.db"));
    this.#votes = this.#openVotes();
    const { base, lastIndex, termStarts, configurations, stampMs, promised } = this.#log.open();
    const entries = this.#log.read(base.index + 1, lastIndex - base.index, Infinity);
    return {
      hardState: this.#votes.vote,
      base,
      lastIndex,
      termStarts,
      configurations,
      stampMs,
      promised: unlessRepaired(promised, entries.at(-1) ?? base),
      entries,
    };
  }
}

function unlessRepaired(promised: LogPosition | undefined, last: LogPosition) {
  const isRepaired = promised && (last.term > promised.term ||
    (last.term === promised.term && last.index >= promised.index));
  return isRepaired ? undefined : promised;
}

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
  ["SQLite", () => new SqliteSubject()],
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
