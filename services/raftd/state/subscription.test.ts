import { expect, test } from "bun:test";
import { Random } from "#shared/random.ts";
import { ChangeHistory } from "./change-history.ts";
import { bytes, FixtureStore, text } from "./fixture-store.ts";
import type { StateChange } from "./journal.ts";
import { Subscription, unknownTopic } from "./subscription.ts";

/** A change in a few letters. */
function brief(change: StateChange): string {
  const sign = change.deleted ? "-" : "+";
  switch (change.kind) {
    case "node":
      return `${sign}node ${change.node.node}`;
    case "service":
      return `${sign}service ${change.service.node}/${change.service.id}`;
    case "check":
      return `${sign}check ${change.check.node}/${change.check.checkId}`;
    case "kv":
      return `${sign}kv ${text(change.kv.key)}`;
    case "session":
      return `${sign}session ${change.session.id}`;
    case "document":
      return `${sign}document ${change.document.id} ${text(change.document.secretJson)}`.trim();
    case "coordinate":
      return `${sign}coordinate ${change.coordinate.node}`;
    default:
      return change satisfies never;
  }
}

function follow(fixture: FixtureStore, topics: string[], services: string[] = []) {
  const subscription = new Subscription({ topics, services });
  const view = [...fixture.store.viewOf(subscription)].flat().map(brief);
  const news = () =>
    fixture.last.changes.groups
      .flatMap((group) => subscription.changesOf(group, fixture.store.tables)).map(brief);
  return { view, news };
}

test("a topic's rows come first, then its changes and no others", () => {
  const fixture = new FixtureStore();
  fixture.set("a", "1");
  fixture.register({ node: "n1" }, { service: { service: "web" }, checks: [{ name: "c" }] });
  const kv = follow(fixture, ["kv"]);
  const catalog = follow(fixture, ["catalog", "sessions"]);
  expect(kv.view).toEqual(["+kv a"]);
  expect(catalog.view).toEqual(["+node n1", "+service n1/web", "+check n1/c"]);
  fixture.set("b", "1");
  expect([kv.news(), catalog.news()]).toEqual([["+kv b"], []]);
  fixture.session({ id: "s1", node: "n1" });
  expect(catalog.news()).toEqual(["+session s1"]);
  fixture.run({ deregister: { node: "n1" } });
  expect(catalog.news())
    .toEqual(["-service n1/web", "-check n1/c", "-node n1", "-session s1"]);
  expect(kv.news()).toEqual([]);
});

test("with services, a node is sent with the first instance on it and dropped with the last", () => {
  const fixture = new FixtureStore();
  fixture.register({ node: "n1" }, {
    service: { service: "web" },
    checks: [{ name: "node" }, { name: "web", serviceId: "web" }],
  });
  fixture.register({ node: "n2" }, { service: { service: "db" }, checks: [{ name: "node" }] });
  const { view, news } = follow(fixture, ["catalog"], ["WEB"]);
  expect(view).toEqual(["+node n1", "+check n1/node", "+service n1/web", "+check n1/web"]);
  fixture.register({ node: "n2", address: "10.0.0.2" });
  expect(news()).toEqual([]);
  fixture.register({ node: "n2", address: "10.0.0.2" }, { service: { id: "w", service: "web" } });
  expect(news()).toEqual(["+node n2", "+check n2/node", "+service n2/w"]);
  fixture.register({ node: "n2", address: "10.0.0.3" });
  expect(news()).toEqual(["+node n2"]);
  fixture.register({ node: "n2", address: "10.0.0.3" }, { service: { id: "w", service: "other" } });
  expect(news()).toEqual(["-service n2/w"]);
  fixture.register({ node: "n2", address: "10.0.0.4" });
  expect(news()).toEqual([]);
});

test("documents are sent by kind, without their secret part", () => {
  const fixture = new FixtureStore();
  const { news } = follow(fixture, ["documents:acl-token"]);
  const secretJson = bytes('{"SecretID":"s"}');
  const document = { kind: "acl-token", id: "t1", bodyJson: bytes("{}"), secretJson };
  fixture.run({ document: { document } });
  expect(news()).toEqual(["+document t1"]);
  fixture.run({ document: { document: { ...document, kind: "acl-role" } } });
  expect(news()).toEqual([]);
  const owner = new Subscription({
    topics: ["documents:acl-token"],
    services: [],
    withSecrets: true,
  });
  expect([...fixture.store.viewOf(owner)].flat().map(brief))
    .toEqual(['+document t1 {"SecretID":"s"}']);
});

test("a long view read beside writes is right after the changes that came meanwhile", () => {
  const fixture = new FixtureStore();
  const random = new Random(3);
  for (let n = 0; n < 1_500; n++) fixture.set(`k${n}`, "old");
  const subscription = new Subscription({ topics: ["kv"], services: [] });
  const rows = new Map<string, string>();
  const take = (change: StateChange) => {
    if (change.kind !== "kv") return;
    if (change.deleted) rows.delete(text(change.kv.key));
    else rows.set(text(change.kv.key), text(change.kv.value));
  };
  const held: StateChange[] = [];
  for (const part of fixture.store.viewOf(subscription)) {
    part.forEach(take);
    for (let n = 0; n < 40; n++) {
      const key = bytes(`k${random.below(2_000)}`);
      if (random.chance(0.5)) fixture.run({ kv: { verb: 4, key } });
      else fixture.run({ kv: { key, value: bytes(`new${n}`) } });
      for (const group of fixture.last.changes.groups) {
        held.push(...subscription.changesOf(group, fixture.store.tables));
      }
    }
  }
  held.forEach(take);
  const truth = [...fixture.store.tables.kv.list(bytes(""))]
    .map(({ key, value }) => [text(key), text(value)]);
  expect([...rows].sort()).toEqual(truth.sort() as [string, string][]);
});

test("the history goes on from a known index, and says when it forgot", () => {
  const fixture = new FixtureStore();
  const history = new ChangeHistory(0, 2_000);
  for (let n = 1; n <= 20; n++) {
    fixture.register({ node: "n", address: `10.0.0.${n}` });
    history.push(fixture.last.changes.groups);
  }
  expect(history.after(20)).toEqual([]);
  expect(history.after(18)!.map(({ index }) => index)).toEqual([19, 20]);
  expect(history.after(1)).toBeUndefined();
  expect(history.bytes).toBeLessThanOrEqual(2_000);
  const { bytes: before } = history;
  fixture.set("k", "v");
  history.push(fixture.last.changes.groups);
  expect(history.bytes).toBe(before);
  history.reset(50);
  expect(history.after(49)).toBeUndefined();
  expect(history.after(50)).toEqual([]);
});

test("topics that do not exist are named", () => {
  expect(unknownTopic(["kv", "documents:x", "catalog"])).toBeUndefined();
  expect(unknownTopic(["kv", "nonsense"])).toBe("nonsense");
});
