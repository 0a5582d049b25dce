import { expect, test } from "bun:test";
import { KvVerb } from "#proto/messages.js";
import { bytes, FixtureStore, text } from "./fixture-store.ts";

const sid = "11111111-2222-3333-4444-555555555555";
const other = "99999999-2222-3333-4444-555555555555";

function withSessions(lockDelayNs = "0", behavior = "release"): FixtureStore {
  const fixture = new FixtureStore();
  fixture.register({ node: "n1" });
  fixture.session({ id: sid, node: "n1", lockDelayNs, behavior });
  fixture.session({ id: other, node: "n1", lockDelayNs });
  return fixture;
}

const kv = (verb: KvVerb, key: string, more: object = {}) => ({
  kv: { verb, key: bytes(key), ...more },
});

test("a write sets both indexes, an equal one moves none", () => {
  const fixture = new FixtureStore();
  fixture.set("a", "1");
  expect(fixture.get("a")).toMatchObject({ createIndex: 1, modifyIndex: 1, lockIndex: 0 });
  fixture.set("a", "1");
  expect(fixture.get("a")).toMatchObject({ modifyIndex: 1 });
  expect(fixture.last.changes.groups).toEqual([]);
  fixture.set("a", "2");
  expect(fixture.get("a")).toMatchObject({ createIndex: 1, modifyIndex: 3 });
});

test("check-and-set compares the index; 0 means that the key must not exist", () => {
  const fixture = new FixtureStore();
  const cas = (index: number) =>
    fixture.run(kv(KvVerb.KV_CAS, "a", { value: bytes(`${index}`), index })).ok;
  expect(cas(7)).toBe(false);
  expect(cas(0)).toBe(true);
  expect(cas(0)).toBe(false);
  expect(cas(2)).toBe(true);
  expect(text(fixture.get("a")!.value)).toBe("2");
});

test("a conditional delete is true when the key is gone already, never with index 0", () => {
  const fixture = new FixtureStore();
  const remove = (index: number) => fixture.run(kv(KvVerb.KV_DELETE_CAS, "a", { index })).ok;
  expect(remove(5)).toBe(true);
  fixture.set("a", "1");
  expect(remove(0)).toBe(false);
  expect(remove(9)).toBe(false);
  expect(remove(2)).toBe(true);
  expect(fixture.get("a")).toBeUndefined();
});

test("64-bit flags keep all their bits", () => {
  const fixture = new FixtureStore();
  const flags = new Uint8Array(8).fill(255);
  fixture.run(kv(KvVerb.KV_SET, "a", { flags }));
  expect([...fixture.get("a")!.flags]).toEqual([...flags]);
  fixture.run(kv(KvVerb.KV_SET, "a", { flags: new Uint8Array(8) }));
  expect(fixture.get("a")!.flags).toHaveLength(0);
});

test("the index of a missing key is the table's, and deletes move it", () => {
  const fixture = new FixtureStore();
  const missing = { kvGet: { key: bytes("none") } };
  expect(fixture.ask(missing).meta).toMatchObject({ index: 1, notFound: true });
  fixture.set("a", "1");
  fixture.set("b", "1");
  expect(fixture.indexOf(missing)).toBe(2);
  fixture.run(kv(KvVerb.KV_DELETE, "a"));
  expect(fixture.indexOf(missing)).toBe(3);
  fixture.run(kv(KvVerb.KV_DELETE, "a"));
  expect(fixture.indexOf(missing)).toBe(3);
});

test("a prefix's index is the highest of its rows and tombstones", () => {
  const fixture = new FixtureStore();
  const list = { kvList: { prefix: bytes("p/") } };
  fixture.set("p/1", "1");
  fixture.set("p/2", "1");
  fixture.set("q", "1");
  expect(fixture.indexOf(list)).toBe(2);
  fixture.run(kv(KvVerb.KV_DELETE, "p/2"));
  expect(fixture.indexOf(list)).toBe(4);
  fixture.set("q", "2");
  expect(fixture.indexOf(list)).toBe(4);
  fixture.run({ reapTombstones: { throughIndex: 4 } });
  expect(fixture.indexOf(list)).toBe(1);
});

test("deleting a tree leaves one stone for the prefix, none for the whole table", () => {
  const fixture = new FixtureStore();
  for (const key of ["p/1", "p/2", "r"]) fixture.set(key, "1");
  fixture.run(kv(KvVerb.KV_DELETE_TREE, "p/"));
  expect(fixture.keys("")).toEqual(["r"]);
  expect(fixture.store.tables.kv.tombstones.list().map(({ key, index }) => [text(key), index]))
    .toEqual([["p/", 4]]);
  expect(fixture.indexOf({ kvList: { prefix: bytes("p/") } })).toBe(4);
  fixture.run(kv(KvVerb.KV_DELETE_TREE, ""));
  expect(fixture.keys("")).toEqual([]);
  expect(fixture.store.tables.kv.tombstones.list()).toHaveLength(1);
  expect(fixture.last.changes.groups[0]!.changes).toHaveLength(1);
});

test("keys are cut after the separator that follows the prefix, and listed once", () => {
  const fixture = new FixtureStore();
  for (const key of ["a/b/1", "a/b/2", "a/c", "a", "b"]) fixture.set(key, "");
  expect(fixture.keys("a/", "/")).toEqual(["a/b/", "a/c"]);
  expect(fixture.keys("", "/")).toEqual(["a", "a/", "b"]);
  expect(fixture.keys("a/")).toEqual(["a/b/1", "a/b/2", "a/c"]);
});

test("prefixes that end in 0xff bytes have a range of their own", () => {
  const fixture = new FixtureStore();
  const high = new Uint8Array([0xff, 0xff]);
  fixture.run({ kv: { key: new Uint8Array([0xff, 0xff, 1]), value: bytes("x") } });
  fixture.run({ kv: { key: new Uint8Array([0xff, 0xfe]), value: bytes("y") } });
  expect(fixture.ask({ kvList: { prefix: high } }).kv).toHaveLength(1);
});

test("a lock counts its holders, and a plain write keeps the holder but zeroes the count", () => {
  const fixture = withSessions();
  const lock = (session: string, value: string) =>
    fixture.run(kv(KvVerb.KV_LOCK, "l", { session, value: bytes(value) }));
  expect(lock(sid, "1").ok).toBe(true);
  expect(fixture.get("l")).toMatchObject({ session: sid, lockIndex: 1 });
  expect(lock(other, "2").ok).toBe(false);
  expect(lock(sid, "1").ok).toBe(true);
  expect(fixture.last.changes.groups).toEqual([]);
  fixture.set("l", "plain");
  expect(fixture.get("l")).toMatchObject({ session: sid, lockIndex: 0 });
  lock(sid, "again");
  expect(fixture.get("l")).toMatchObject({ session: sid, lockIndex: 0 });
  const unlock = (session: string) => fixture.run(kv(KvVerb.KV_UNLOCK, "l", { session })).ok;
  expect(unlock(other)).toBe(false);
  expect(unlock(sid)).toBe(true);
  expect(fixture.get("l")).toMatchObject({ session: "", lockIndex: 0 });
  lock(other, "x");
  expect(fixture.get("l")).toMatchObject({ session: other, lockIndex: 1 });
});

test("locks without a live session are refused with Consul's texts", () => {
  const fixture = new FixtureStore();
  expect(fixture.run(kv(KvVerb.KV_LOCK, "l", { session: sid })).error)
    .toBe(`raft apply failed: invalid session "${sid}"`);
  expect(fixture.run(kv(KvVerb.KV_LOCK, "l")).error).toBe("raft apply failed: missing session");
  expect(fixture.run(kv(KvVerb.KV_UNLOCK, "l")).error).toBe("raft apply failed: missing session");
  expect(fixture.run(kv(KvVerb.KV_SET, "")).error).toBe("Must provide key");
});

test("after a session ends its keys are free, but not at once", () => {
  const fixture = withSessions("15000000000");
  fixture.run(kv(KvVerb.KV_LOCK, "l", { session: sid }));
  fixture.run({ session: { destroy: sid } });
  expect(fixture.get("l")).toMatchObject({ session: "", lockIndex: 1, modifyIndex: 5 });
  const lock = () => fixture.run(kv(KvVerb.KV_LOCK, "l", { session: other })).ok;
  fixture.stampMs += 14_999;
  expect(lock()).toBe(false);
  fixture.stampMs += 1;
  expect(lock()).toBe(true);
});

test("a lock delay is applied up to a minute, an explicit release starts none", () => {
  const fixture = withSessions("90000000000");
  fixture.run(kv(KvVerb.KV_LOCK, "l", { session: sid }));
  fixture.run(kv(KvVerb.KV_UNLOCK, "l", { session: sid }));
  expect(fixture.run(kv(KvVerb.KV_LOCK, "l", { session: sid })).ok).toBe(true);
  fixture.run({ session: { destroy: sid } });
  fixture.stampMs += 60_000;
  expect(fixture.run(kv(KvVerb.KV_LOCK, "l", { session: other })).ok).toBe(true);
});

test("a session with behavior delete takes its keys along and leaves tombstones", () => {
  const fixture = withSessions("0", "delete");
  fixture.run(kv(KvVerb.KV_LOCK, "p/l", { session: sid }));
  fixture.run({ session: { destroy: sid } });
  expect(fixture.get("p/l")).toBeUndefined();
  expect(fixture.indexOf({ kvList: { prefix: bytes("p/") } })).toBe(5);
});
