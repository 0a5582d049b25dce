import { afterEach, expect, test } from "bun:test";
import { mkdtempSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { KvVerb, Query } from "#proto/messages.js";
import type { CommandInput } from "#proto/messages.js";
import { errorCodes } from "#shared/errors.ts";
import { Random } from "#shared/random.ts";
import { bytes, commandEntry, FixtureStore, text } from "./fixture-store.ts";
import { Store } from "./store.ts";
import type { ApplyEntry } from "./store-types.ts";

const folders: string[] = [];

function freshFile(): string {
  const folder = mkdtempSync(join(tmpdir(), "curia-state-"));
  folders.push(folder);
  return join(folder, "state-1.db");
}

afterEach(() => {
  for (const folder of folders.splice(0)) rmSync(folder, { recursive: true });
});

const client = "client-1";
const set = (key: string, value: string): CommandInput => ({
  kv: { key: bytes(key), value: bytes(value) },
});

test("a write that is sent again gets its first outcome and changes nothing", () => {
  const fixture = new FixtureStore();
  const cas: CommandInput = { kv: { verb: KvVerb.KV_CAS, key: bytes("a"), value: bytes("1") } };
  const first = fixture.run(cas, { client, sequence: 1, floor: 1 });
  const again = fixture.run(cas, { client, sequence: 1, floor: 1 });
  expect(first).toMatchObject({ index: 1, ok: true });
  expect(again).toMatchObject({ index: 1, ok: true });
  expect(fixture.run(cas, { client, sequence: 2, floor: 1 })).toMatchObject({
    index: 3,
    ok: false,
  });
  const refused = fixture.run({ deregister: {} }, { client, sequence: 3, floor: 1 });
  expect(fixture.run(set("b", "1"), { client, sequence: 3, floor: 1 })).toEqual(refused);
  expect(fixture.get("b")).toBeUndefined();
});

test("outcomes outlive a restart, and only those since the floor are kept", () => {
  const file = freshFile();
  const fixture = new FixtureStore(file);
  fixture.run({ batch: { commands: [set("a", "1"), { deregister: {} }] } }, {
    client,
    sequence: 5,
    floor: 1,
  });
  fixture.run(set("b", "1"), { client, sequence: 6, floor: 5 });
  const hash = fixture.store.contentHash();
  fixture.store.close();

  const reopened = new FixtureStore(file);
  expect(reopened.store.contentHash()).toBe(hash);
  const unknown = { errorCode: errorCodes["outcome-unknown"] };
  expect(reopened.run(set("c", "1"), { client, sequence: 4, floor: 4 })).toMatchObject(unknown);
  expect(reopened.run(set("c", "1"), { client, sequence: 5, floor: 5 })).toMatchObject({
    index: 1,
    batch: [{ index: 1, ok: true }, { index: 1, error: "Must provide node" }],
  });
  expect(reopened.get("c")).toBeUndefined();
  reopened.store.close();
});

test("a client that was expired is told that its outcome is unknown, a new one is not", () => {
  const fixture = new FixtureStore();
  fixture.run(set("a", "1"), { client, sequence: 1, floor: 1 });
  fixture.stampMs = 5_000;
  fixture.run({ expireClients: { beforeStampMs: 2_000 } });
  expect(fixture.run(set("a", "2"), { client, sequence: 9, floor: 8 }))
    .toMatchObject({ errorCode: errorCodes["outcome-unknown"] });
  expect(text(fixture.get("a")!.value)).toBe("1");
  expect(fixture.run(set("a", "2"), { client: "new", sequence: 3, floor: 1 }).ok).toBe(true);
});

test("a client without end to its unanswered writes loses the oldest outcomes only", () => {
  const fixture = new FixtureStore();
  const entries = Array.from(
    { length: 5_000 },
    (_, n) => commandEntry(n + 1, set("a", `${n}`), 1, { client, sequence: n + 1, floor: 1 }),
  );
  fixture.store.apply(entries);
  fixture.index = 5_000;
  expect(fixture.run(set("a", "x"), { client, sequence: 1, floor: 1 }))
    .toMatchObject({ errorCode: errorCodes["outcome-unknown"] });
  expect(fixture.run(set("a", "x"), { client, sequence: 4_000, floor: 1 }))
    .toMatchObject({ index: 4_000, ok: true });
});

test("applied position, time and configuration are part of the same transaction", () => {
  const file = freshFile();
  const store = new Store(file);
  const configuration = bytes("members");
  store.apply([
    { index: 1, term: 1, kind: "configuration", stampMs: 5, bytes: configuration },
    { index: 2, term: 3, kind: "no-op", stampMs: 9, bytes: new Uint8Array(0) },
    commandEntry(3, set("a", "1"), 7),
  ]);
  expect(() => store.apply([commandEntry(4, set("b", "1")), commandEntry(4, set("c", "1"))]))
    .toThrow("Expected an entry after 4");
  expect(store.applied().index).toBe(3);
  expect(store.read(Query.create({ kvGet: { key: bytes("b") } })).kv).toEqual([]);
  store.close();
  const reopened = new Store(file);
  expect(reopened.applied()).toMatchObject({
    index: 3,
    term: 1,
    stampMs: 9,
    configurationIndex: 1,
    generation: 1,
  });
  expect(text(reopened.applied().configuration)).toBe("members");
  reopened.close();
});

test("an unknown kind of command stops the server loudly", () => {
  const fixture = new FixtureStore();
  const entry: ApplyEntry = { ...commandEntry(1, {}), index: 1 };
  expect(() => fixture.store.apply([entry])).toThrow("newer release");
  expect(fixture.store.applied().index).toBe(0);
});

test("rows the caller has are not sent again", () => {
  const fixture = new FixtureStore();
  fixture.set("p/a", "1");
  fixture.register({ node: "n1" }, { service: { service: "web" } });
  const queries = [
    { kvGet: { key: bytes("p/a") } },
    { kvGet: { key: bytes("none") } },
    { kvList: { prefix: bytes("p/") } },
    { instances: { service: "web", withChecks: true } },
    { instances: { service: "none" } },
    { nodes: {} },
  ];
  for (const query of queries) {
    const index = fixture.indexOf(query);
    expect(fixture.store.indexOf(Query.create(query))).toBe(index);
    expect(fixture.ask(query, index)).toMatchObject({ unchanged: true, meta: { index } });
    expect(fixture.ask(query, index + 1).unchanged).toBe(false);
  }
});

test("a long list is read in parts of one moment, beside writes", () => {
  const fixture = new FixtureStore(freshFile());
  const count = 3_000;
  const entries = Array.from(
    { length: count },
    (_, n) => commandEntry(n + 1, set(`k/${String(n).padStart(5, "0")}`, "v")),
  );
  fixture.store.apply(entries);
  fixture.index = count;
  const parts = fixture.store.readSlices(Query.create({ kvList: { prefix: bytes("k/") } }));
  let rows = 0;
  let index = 0;
  for (const part of parts) {
    rows += part.kv.length;
    fixture.set(`k/x${rows}`, "written meanwhile");
    fixture.run({ kv: { verb: KvVerb.KV_DELETE, key: bytes("k/02999") } });
    index = part.meta?.index ?? index;
  }
  expect({ rows, index }).toEqual({ rows: count, index: count });
  expect(fixture.ask({ kvList: { prefix: bytes("k/") } }).kv.length).toBeGreaterThan(count);
  fixture.store.close();
});

test("space of deleted rows goes back to the disk, a slice with each batch", () => {
  const file = freshFile();
  const fixture = new FixtureStore(file);
  const value = new Uint8Array(4_000).fill(7);
  for (let n = 0; n < 6_000; n += 500) {
    const entries = Array.from(
      { length: 500 },
      (_, i) => commandEntry(n + i + 1, { kv: { key: bytes(`k${n + i}`), value } }),
    );
    fixture.store.apply(entries);
  }
  fixture.index = 6_000;
  fixture.store.checkpoint();
  const full = statSync(file).size;
  fixture.run({ kv: { verb: KvVerb.KV_DELETE_TREE, key: bytes("k") } });
  fixture.store.checkpoint();
  let slices = 0;
  while (fixture.store.space.trimSlice()) slices++;
  fixture.store.checkpoint();
  expect(slices).toBeGreaterThan(4);
  expect(statSync(file).size).toBeLessThan(full / 2);
  fixture.set("a", "1");
  expect(fixture.store.space.trimSlice()).toBe(false);
  fixture.store.close();
});

/** Any command, over few names. */
function anyCommand(random: Random): CommandInput {
  const key = bytes(`${random.pick(["a", "b"])}/${random.below(4)}`);
  const session = `s${random.below(3)}`;
  const node = { node: `n${random.below(3)}`, address: `10.0.0.${random.below(3)}` };
  const service = random.pick(["web", "db"]);
  const status = random.pick(["passing", "critical"]);
  const document = {
    kind: random.pick(["config-entry", "prepared-query"]),
    id: `d${random.below(3)}`,
    bodyJson: bytes(random.pick(["{}", `{"Session":"${session}"}`])),
  };
  const vec = [random.below(3)];
  const make: (() => CommandInput)[] = [
    () => ({ kv: { key, value: bytes(`${random.below(3)}`) } }),
    () => ({ kv: { verb: KvVerb.KV_LOCK, key, session } }),
    () => ({ kv: { verb: KvVerb.KV_UNLOCK, key, session } }),
    () => ({ kv: { verb: KvVerb.KV_DELETE, key } }),
    () => ({ kv: { verb: KvVerb.KV_DELETE_TREE, key: bytes("a/") } }),
    () => ({
      register: {
        node,
        service: { service, port: random.below(3) },
        checks: [{ name: "c", status }],
      },
    }),
    () => ({ deregister: { node: node.node, serviceId: random.pick(["", service]) } }),
    () => ({ session: { create: { id: session, node: node.node, lockDelayNs: "3000000" } } }),
    () => ({ session: { destroy: session } }),
    () => ({ coordinates: { coordinates: [{ node: node.node, vec }] } }),
    () => ({ document: { document } }),
    () => ({ document: { verb: 2, document } }),
    () => ({ reapTombstones: { throughIndex: random.below(200) } }),
    () => ({ expireClients: { beforeStampMs: random.below(200) } }),
    () => ({
      txn: {
        operations: [
          { kv: { key, value: bytes("t") } },
          { kv: { verb: KvVerb.KV_GET, key: bytes("a/0") } },
        ],
      },
    }),
  ];
  return random.pick(make)();
}

test("equal logs give equal content, however they are cut and wherever the server restarts", () => {
  for (let seed = 1; seed <= 6; seed++) {
    const random = new Random(seed);
    const log = Array.from({ length: 400 }, (_, n) =>
      commandEntry(n + 1, anyCommand(random), n, {
        client: `c${random.below(2)}`,
        sequence: Math.max(1, n - random.below(3)),
        floor: Math.max(1, n - 5),
      }));
    const whole = new Store(":memory:");
    const hashes = log.map((entry) => {
      whole.apply([entry]);
      return whole.contentHash();
    });
    const file = freshFile();
    let store = new Store(file);
    while (store.applied().index < log.length) {
      const at = store.applied().index;
      store.apply(log.slice(at, at + 1 + random.below(40)));
      const context = `seed ${seed} index ${store.applied().index}`;
      expect([context, store.contentHash()]).toEqual([context, hashes[store.applied().index - 1]!]);
      if (random.chance(0.3)) store.checkpoint();
      if (random.chance(0.5)) {
        store.close();
        store = new Store(file);
        expect([context, store.contentHash()])
          .toEqual([context, hashes[store.applied().index - 1]!]);
      }
    }
    const copy = freshFile();
    store.snapshotTo(copy);
    const restored = new Store(copy);
    expect(restored.contentHash()).toBe(hashes.at(-1)!);
    expect(restored.applied()).toEqual(store.applied());
    for (const each of [whole, store, restored]) each.close();
  }
}, 60_000);

test("the content hash tells rows apart that differ in one field", () => {
  const hashAfter = (...commands: CommandInput[]) => {
    const fixture = new FixtureStore();
    for (const command of commands) fixture.run(command);
    return fixture.store.contentHash();
  };
  const hashes = [
    hashAfter(set("a", "1")),
    hashAfter(set("a", "2")),
    hashAfter(set("b", "1")),
    hashAfter({ kv: { key: bytes("a"), value: bytes("1"), flags: bytes("00000001") } }),
    hashAfter(set("a", "2"), set("a", "1")),
    hashAfter(set("a", "1"), { kv: { verb: KvVerb.KV_DELETE, key: bytes("a") } }),
  ];
  expect(new Set(hashes).size).toBe(hashes.length);
});
