import { expect, test } from "bun:test";
import { CatalogVerb, KvVerb } from "#proto/messages.js";
import type { TxnOperationInput } from "#proto/messages.js";
import { bytes, FixtureStore, text } from "./fixture-store.ts";

const sid = "11111111-2222-3333-4444-555555555555";
const wrong = "99999999-2222-3333-4444-555555555555";
const { CATALOG_GET, CATALOG_SET, CATALOG_CAS, CATALOG_DELETE, CATALOG_DELETE_CAS } = CatalogVerb;

const kv = (verb: KvVerb, key: string, more: object = {}): TxnOperationInput => ({
  kv: { verb, key: bytes(key), ...more },
});
const run = (fixture: FixtureStore, ...operations: TxnOperationInput[]) =>
  fixture.run({ txn: { operations } }).txn!;
const read = (fixture: FixtureStore, ...operations: TxnOperationInput[]) =>
  fixture.ask({ txn: { operations } }).txn!;
const whats = (txn: { errors: { opIndex: number; what: string }[] }) =>
  txn.errors.map(({ opIndex, what }) => `${opIndex} ${what}`);

test("reads see the writes before them, and only reads show values", () => {
  const fixture = new FixtureStore();
  const txn = run(
    fixture,
    kv(KvVerb.KV_SET, "t/1", { value: bytes("one") }),
    kv(KvVerb.KV_SET, "t/2", { value: bytes("two") }),
    kv(KvVerb.KV_GET, "t/1"),
    kv(KvVerb.KV_GET_TREE, "t/"),
    kv(KvVerb.KV_DELETE, "t/2"),
    kv(KvVerb.KV_CHECK_NOT_EXISTS, "t/2"),
    kv(KvVerb.KV_GET_OR_EMPTY, "t/2"),
  );
  expect(txn.errors).toEqual([]);
  expect(txn.results.map((result) => [text(result.kv!.key), text(result.kv!.value)])).toEqual([
    ["t/1", ""],
    ["t/2", ""],
    ["t/1", "one"],
    ["t/1", "one"],
    ["t/2", "two"],
    ["t/2", ""],
  ]);
  expect(fixture.get("t/1")).toMatchObject({ createIndex: 1, modifyIndex: 1 });
});

test("one failure undoes everything: rows, indexes, hash, changes and wake-ups", () => {
  const fixture = new FixtureStore();
  fixture.register({ node: "n1" }, { service: { service: "web" } });
  fixture.set("a", "1");
  const before = { hash: fixture.store.contentHash(), nodes: fixture.indexOf({ nodes: {} }) };
  const txn = run(
    fixture,
    kv(KvVerb.KV_SET, "a", { value: bytes("2") }),
    kv(KvVerb.KV_SET, "new", { value: bytes("2") }),
    { node: { verb: CATALOG_DELETE, node: { node: "n1" } } },
    kv(KvVerb.KV_GET, "missing"),
  );
  expect(txn.results).toEqual([]);
  expect(whats(txn)).toEqual(['3 key "missing" doesn\'t exist']);
  expect({ hash: fixture.store.contentHash(), nodes: fixture.indexOf({ nodes: {} }) })
    .toEqual(before);
  expect(fixture.last.changes.groups).toEqual([]);
  expect(fixture.last.changes.touched.size).toBe(0);
  expect(text(fixture.get("a")!.value)).toBe("1");
  expect(fixture.get("new")).toBeUndefined();
  expect(fixture.ask({ node: { node: "n1" } }).nodeServices).toHaveLength(1);
});

test("all failing operations are named, with Consul's texts", () => {
  const fixture = new FixtureStore();
  fixture.register({ node: "n1" });
  fixture.session({ id: sid, node: "n1" });
  fixture.set("a", "1");
  run(fixture, kv(KvVerb.KV_LOCK, "held", { session: sid }));
  const txn = run(
    fixture,
    kv(KvVerb.KV_CAS, "a", { index: 9 }),
    kv(KvVerb.KV_DELETE_CAS, "a", { index: 9 }),
    kv(KvVerb.KV_DELETE_CAS, "none", { index: 9 }),
    kv(KvVerb.KV_LOCK, "a", { session: wrong }),
    kv(KvVerb.KV_LOCK, "held", { session: "" }),
    kv(KvVerb.KV_UNLOCK, "held", { session: wrong }),
    kv(KvVerb.KV_CHECK_SESSION, "held", { session: wrong }),
    kv(KvVerb.KV_CHECK_SESSION, "none", { session: sid }),
    kv(KvVerb.KV_CHECK_INDEX, "a", { index: 9 }),
    kv(KvVerb.KV_CHECK_NOT_EXISTS, "a"),
  );
  expect(whats(txn)).toEqual([
    '0 failed to set key "a", index is stale',
    '1 failed to delete key "a", index is stale',
    `3 invalid session "${wrong}"`,
    "4 missing session",
    '5 failed to unlock key "held", lock isn\'t held, or is held by another session',
    `6 failed session check for key "held", current session "${sid}" != "${wrong}"`,
    '7 failed to check session, key "none" doesn\'t exist',
    '8 failed index check for key "a", current modify index 3 != 9',
    '9 key "a" exists',
  ]);
});

test("faults found beforehand are all that is answered", () => {
  const fixture = new FixtureStore();
  fixture.register({ node: "n1" });
  fixture.session({ id: sid, node: "n1", lockDelayNs: "10000000000" });
  fixture.session({ id: wrong, node: "n1" });
  run(fixture, kv(KvVerb.KV_LOCK, "l", { session: sid }));
  run(fixture, { sessionDestroy: sid });
  const txn = run(
    fixture,
    kv(KvVerb.KV_GET, "missing"),
    kv(KvVerb.KV_LOCK, "l", { session: wrong }),
    kv(KvVerb.KV_SET, ""),
  );
  expect(whats(txn)).toEqual([
    '1 failed to lock key "l" due to lock delay',
    "2 Must provide key",
  ]);
});

test("nodes, services and checks are set, compared and deleted", () => {
  const fixture = new FixtureStore();
  const node = (verb: CatalogVerb, more: object = {}): TxnOperationInput => ({
    node: { verb, node: { node: "n", address: "10.1.1.1", ...more } },
  });
  const service = (verb: CatalogVerb, more: object = {}): TxnOperationInput => ({
    service: { verb, node: "n", service: { id: "s", service: "web", ...more } },
  });
  const check = (verb: CatalogVerb, more: object = {}): TxnOperationInput => ({
    check: { verb, check: { node: "n", checkId: "c", status: "passing", serviceId: "s", ...more } },
  });
  expect(whats(run(fixture, service(CATALOG_SET), check(CATALOG_SET))))
    .toEqual(["0 Missing node registration", "1 Missing node registration"]);
  const made = run(fixture, node(CATALOG_SET), service(CATALOG_SET), check(CATALOG_SET));
  expect(made.results).toMatchObject([
    { node: { node: "n", createIndex: 2 } },
    { service: { id: "s", weights: { passing: 1, warning: 1 }, modifyIndex: 2 } },
    { check: { checkId: "c", serviceName: "web", modifyIndex: 2 } },
  ]);
  expect(whats(run(
    fixture,
    node(CATALOG_CAS, { modifyIndex: 1 }),
    service(CATALOG_CAS),
    check(CATALOG_DELETE_CAS, { modifyIndex: 1 }),
  ))).toEqual([
    '0 failed to set node "n", index is stale',
    '1 failed to set service "s" on node "n", index is stale',
    '2 failed to delete check "c" on node "n", index is stale',
  ]);
  const cas = run(fixture, node(CATALOG_CAS, { modifyIndex: 2, address: "10.1.1.2" }));
  expect(cas.results[0]).toMatchObject({ node: { address: "10.1.1.2", createIndex: 2 } });
  expect(
    run(fixture, check(CATALOG_DELETE_CAS, { modifyIndex: 2 }), service(CATALOG_DELETE)).errors,
  )
    .toEqual([]);
  expect(whats(read(fixture, service(CATALOG_GET), check(CATALOG_GET), node(CATALOG_GET))))
    .toEqual([
      '0 service "s" on node "n" doesn\'t exist',
      '1 check "c" on node "n" doesn\'t exist',
    ]);
  expect(run(fixture, node(CATALOG_DELETE), node(CATALOG_DELETE)).errors).toEqual([]);
  expect(whats(run(fixture, node(CATALOG_DELETE_CAS, { modifyIndex: 1 }))))
    .toEqual(['0 failed to delete node "n", index is stale']);
});

test("a read-only transaction is a query, a writing one is not", () => {
  const fixture = new FixtureStore();
  fixture.set("a", "1");
  expect(read(fixture, kv(KvVerb.KV_GET, "a")).results).toHaveLength(1);
  expect(() => read(fixture, kv(KvVerb.KV_SET, "a"))).toThrow("Expected only reads");
});
