import { expect, test } from "bun:test";
import type { Entry } from "../core/raft/messages.ts";
import { EntryFeed } from "./entry-feed.ts";

const bytes = new Uint8Array();
const entry = (index: number, term = 1): Entry => ({
  index,
  term,
  kind: "command",
  stampMs: 0,
  origin: "",
  id: 0,
  bytes,
});
const range = (from: number, to: number, term = 1) =>
  Array.from({ length: to - from + 1 }, (_, n) => entry(from + n, term));
const persist = (seq: number, entries: Entry[], truncateFrom?: number) => ({
  kind: "persist" as const,
  seq,
  entries,
  truncateFrom,
});
const handed = (feed: EntryFeed) => {
  const step = feed.step();
  return step.kind === "entries" ? step.entries.map(({ index, term }) => `${index}.${term}`) : step;
};

test("an entry is handed over once it is committed and durable, in either order", () => {
  const feed = new EntryFeed(0, 0);
  feed.persisting(persist(1, range(1, 2)));
  feed.committed(2);
  expect(handed(feed)).toEqual({ kind: "wait" });
  feed.persisted(1);
  expect(handed(feed)).toEqual(["1.1", "2.1"]);
  feed.persisting(persist(2, range(3, 4)));
  feed.persisted(2);
  expect(handed(feed)).toEqual({ kind: "wait" });
  feed.committed(3);
  expect(handed(feed)).toEqual(["3.1"]);
});

test("after a restart the log is read up to what memory holds", () => {
  const feed = new EntryFeed(10, 20);
  feed.persisting(persist(1, range(21, 22)));
  feed.committed(22);
  feed.persisted(1);
  expect(feed.step()).toEqual({ kind: "read", fromIndex: 11, countMax: 10 });
  feed.handed(11, 10);
  expect(handed(feed)).toEqual(["21.1", "22.1"]);
});

test("entries that were being read when a snapshot came move nothing", () => {
  const feed = new EntryFeed(10, 20);
  feed.committed(40);
  expect(feed.step()).toEqual({ kind: "read", fromIndex: 11, countMax: 10 });
  feed.persisting({ kind: "persist", seq: 1, reset: { index: 30, term: 2 }, entries: [] });
  feed.skipTo(30);
  feed.handed(11, 10);
  feed.persisting(persist(2, range(31, 32, 2)));
  feed.persisted(2);
  expect(handed(feed)).toEqual(["31.2", "32.2"]);
});

test("a truncated entry is never handed over", () => {
  const feed = new EntryFeed(0, 0);
  feed.persisting(persist(1, range(1, 3)));
  feed.persisting(persist(2, range(2, 2, 2), 2));
  feed.committed(3);
  feed.persisted(1);
  expect(handed(feed)).toEqual(["1.1"]);
  feed.persisted(2);
  expect(handed(feed)).toEqual(["2.2"]);
  expect(handed(feed)).toEqual({ kind: "wait" });
});
