import { expect, test } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { KvVerb, Query } from "#proto/messages.js";
import type { QueryInput } from "#proto/messages.js";
import { Random } from "#shared/random.ts";
import { bytes, FixtureStore } from "./fixture-store.ts";
import { WatchTable } from "./watch.ts";

const queries: Record<string, QueryInput> = {
  key: { kvGet: { key: bytes("a/1") } },
  list: { kvList: { prefix: bytes("a/") } },
  keys: { kvKeys: { prefix: bytes("") } },
  nodes: { nodes: {} },
  services: { services: {} },
  catalog: { instances: { service: "web" } },
  health: { instances: { service: "web", withChecks: true } },
  other: { instances: { service: "db", withChecks: true } },
  connect: { instances: { service: "web", connect: true, withChecks: true } },
  node: { node: { node: "n1" } },
  full: { node: { node: "n1", withChecks: true } },
  nodeChecks: { checks: { node: "n1" } },
  serviceChecks: { checks: { service: "web" } },
  critical: { checks: { state: "critical" } },
  any: { checks: { state: "any" } },
  session: { sessions: { id: "s1" } },
  nodeSessions: { sessions: { node: "n1" } },
  entry: { documents: { kind: "config-entry", id: "service-defaults/web" } },
  entries: { documents: { kind: "config-entry" } },
};

function watched(path = ":memory:"): { fixture: FixtureStore; woken: () => string[] } {
  const fixture = new FixtureStore(path);
  fixture.register({ node: "n1" }, { service: { service: "web" } });
  const table = new WatchTable<string>();
  for (const [name, query] of Object.entries(queries)) table.add(name, Query.create(query));
  return { fixture, woken: () => [...table.touched(fixture.last.changes).keys()].sort() };
}

test("each change wakes those whose answer it changes, and nobody else", () => {
  const { fixture, woken } = watched();
  fixture.set("a/1", "x");
  expect(woken()).toEqual(["key", "keys", "list"]);
  fixture.set("a/1", "x");
  expect(woken()).toEqual([]);
  fixture.set("b", "x");
  expect(woken()).toEqual(["keys"]);
  fixture.run({ kv: { verb: KvVerb.KV_DELETE_TREE, key: bytes("a") } });
  expect(woken()).toEqual(["key", "keys", "list"]);
  fixture.register({ node: "n2" });
  expect(woken()).toEqual(["nodes"]);
  fixture.register({ node: "n1", address: "10.9.9.9" });
  expect(woken()).toEqual(["catalog", "full", "health", "node", "nodes"]);
  fixture.register({ node: "n2" }, { service: { service: "db" } });
  expect(woken()).toEqual(["other", "services"]);
  fixture.register({ node: "n1", address: "10.9.9.9" }, {
    checks: [{ name: "c", serviceId: "web", status: "passing" }],
  });
  expect(woken()).toEqual(["any", "full", "health", "nodeChecks", "serviceChecks"]);
  fixture.register({ node: "n1", address: "10.9.9.9" }, { checks: [{ name: "n" }] });
  expect(woken()).toEqual(["any", "critical", "full", "health", "nodeChecks"]);
  fixture.session({ id: "s1", node: "N1" });
  expect(woken()).toEqual(["nodeSessions", "session"]);
  const document = { kind: "config-entry", id: "service-defaults/web", bodyJson: bytes("{}") };
  fixture.run({ document: { document } });
  expect(woken()).toEqual(["entries", "entry"]);
  fixture.run({ document: { document } });
  expect(woken()).toEqual([]);
});

test("a proxy wakes who asks for mesh instances of its destination", () => {
  const { fixture, woken } = watched();
  const proxyJson = bytes('{"DestinationServiceName":"web"}');
  const proxy = { kind: "connect-proxy", service: "p", port: 1, proxyJson };
  fixture.register({ node: "n2" }, { service: proxy });
  expect(woken()).toEqual(["connect", "nodes", "services"]);
  fixture.register({ node: "n2" }, { checks: [{ name: "n" }] });
  expect(woken()).toEqual(["any", "connect", "critical"]);
  fixture.run({ deregister: { node: "n2" } });
  expect(woken()).toEqual(["any", "connect", "critical", "nodes", "services"]);
});

test("a removed watch wakes no more, and leaves nothing behind", () => {
  const fixture = new FixtureStore();
  const table = new WatchTable<number>();
  table.add(1, Query.create({ kvGet: { key: bytes("a") } }));
  table.add(1, Query.create({ kvGet: { key: bytes("b") } }));
  table.add(2, Query.create({ kvList: { prefix: bytes("") } }));
  fixture.set("a", "1");
  expect([...table.touched(fixture.last.changes)]).toEqual([[2, 1]]);
  table.remove(1);
  table.remove(2);
  fixture.set("b", "1");
  expect(table.touched(fixture.last.changes).size).toBe(0);
  expect(table.size).toBe(0);
});

/** Any command over few names, so that they meet. */
function anyCommand(random: Random) {
  const key = bytes(`${random.pick(["a", "b"])}/${random.below(3)}`);
  const node = { node: `n${random.below(3)}`, address: `10.0.0.${random.below(3)}` };
  const service = random.pick(["web", "db"]);
  const proxyJson = bytes(`{"DestinationServiceName":"${service}"}`);
  const status = random.pick(["passing", "warning", "critical"]);
  return random.pick([
    () => ({ kv: { key, value: bytes(`${random.below(2)}`) } }),
    () => ({ kv: { verb: KvVerb.KV_DELETE, key } }),
    () => ({ kv: { verb: KvVerb.KV_DELETE_TREE, key: bytes("a/") } }),
    () => ({ register: { node, service: { service, port: random.below(3) } } }),
    () => ({
      register: { node, service: { service: "p", kind: "connect-proxy", port: 1, proxyJson } },
    }),
    () => ({ register: { node, checks: [{ name: "c", status }] } }),
    () => ({
      register: {
        node,
        service: { service },
        checks: [{ name: service, serviceId: service, status }],
      },
    }),
    () => ({ deregister: { node: node.node, serviceId: service } }),
    () => ({ deregister: { node: node.node, checkId: random.pick(["c", service]) } }),
    () => ({ deregister: { node: node.node } }),
    () => ({
      session: { create: { id: `s${random.below(3)}`, node: node.node, lockDelayNs: "0" } },
    }),
    () => ({ session: { destroy: `s${random.below(3)}` } }),
  ])();
}

test("whenever an answer changes its watch wakes and its index has grown", () => {
  const folder = mkdtempSync(join(tmpdir(), "curia-watch-"));
  for (let seed = 1; seed <= 3; seed++) {
    const random = new Random(seed);
    const { fixture, woken } = watched(join(folder, `state-${seed}.db`));
    const answers = new Map<string, { rows: string; index: number }>();
    // Through a reader of its own, which keeps nothing: kept rows must not hide what changed.
    const look = (name: string) => {
      const query = Query.create(queries[name]!);
      const parts = [...fixture.store.readSlices(query)].map(({ meta: _, ...rows }) => rows);
      const kept = fixture.store.read(query);
      const { meta: __, ...whole } = kept;
      if (parts.length === 1) expect([name, whole]).toEqual([name, parts[0]!]);
      return { rows: JSON.stringify(parts), index: kept.meta!.index };
    };
    for (const name of Object.keys(queries)) answers.set(name, look(name));
    for (let step = 0; step < 100; step++) {
      const command = anyCommand(random);
      fixture.run(command);
      const awake = woken();
      for (const [name, before] of answers) {
        const now = look(name);
        const context = `seed ${seed} step ${step} ${name} ${JSON.stringify(command)}`;
        if (now.rows !== before.rows) {
          expect([context, awake.includes(name)]).toEqual([context, true]);
          expect([context, now.index > before.index]).toEqual([context, true]);
          expect([context, now.index]).toEqual([context, fixture.index]);
        }
        answers.set(name, now);
      }
    }
    fixture.store.close();
  }
  rmSync(folder, { recursive: true });
}, 60_000);
