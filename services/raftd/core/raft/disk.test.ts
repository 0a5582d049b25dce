import { expect, test } from "bun:test";
import { Disk } from "./disk.ts";
import type { Entry, VoteAnswer } from "./messages.ts";

const entries = (...indexes: number[]): Entry[] =>
  indexes.map((index) => ({
    index,
    term: 1,
    kind: "command",
    stampMs: 0,
    origin: "",
    id: 0,
    bytes: new Uint8Array(0),
  }));

const yes: VoteAnswer = { kind: "vote-answer", term: 1, granted: true };

test("what is decided in one step is one write", () => {
  const disk = new Disk(0);
  disk.writeHardState({ term: 1, votedFor: "a" });
  disk.writeEntries(entries(1, 2));
  expect(disk.latestSeq).toBe(1);
  expect(disk.take(0, 2)).toEqual({
    kind: "persist",
    seq: 1,
    hardState: { term: 1, votedFor: "a" },
    entries: entries(1, 2),
  });
  expect(disk.take(0, 2)).toBeUndefined();
});

test("a message waits for its write, and earlier ones do not wait with it", () => {
  const disk = new Disk(0);
  disk.writeEntries(entries(1));
  disk.take(0, 1);
  disk.hold(1, "a", yes);
  disk.writeEntries(entries(2));
  disk.take(0, 2);
  disk.hold(2, "b", yes);
  expect(disk.persisted(1).map(({ to }) => to)).toEqual(["a"]);
  expect(disk.persistedIndex).toBe(1);
  expect(disk.persisted(1)).toEqual([]);
  expect(disk.persisted(2).map(({ to }) => to)).toEqual(["b"]);
});

test("a write that was cut by a later one makes nothing durable that is gone", () => {
  const disk = new Disk(0);
  disk.writeEntries(entries(1, 2, 3));
  disk.take(0, 3);
  disk.truncateFrom(2);
  disk.writeEntries(entries(2));
  disk.take(0, 2);
  disk.persisted(1);
  expect(disk.persistedIndex).toBe(1);
  disk.persisted(2);
  expect(disk.persistedIndex).toBe(2);
});

test("a stall is as old as the oldest write without an answer", () => {
  const disk = new Disk(0);
  expect(disk.stallMs(50)).toBe(0);
  disk.writeEntries(entries(1));
  disk.take(100, 1);
  disk.writeEntries(entries(2));
  disk.take(200, 2);
  expect(disk.stallMs(250)).toBe(150);
  disk.persisted(1);
  expect(disk.stallMs(250)).toBe(50);
});
