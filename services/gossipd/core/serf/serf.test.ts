import { beforeEach, expect, test } from "bun:test";
import { Random } from "#shared/random.ts";
import {
  addressOf,
  Bench,
  from,
  noBytes,
  ofKind,
  reports,
  sent,
  serfSent,
  settings,
} from "../bench.ts";
import { GossipPool } from "../pool.ts";
import { encodeMessage, encodeStreamMessage } from "../wire/memberlist.ts";
import { decodeSerf, encodeSerf, type Query } from "../wire/serf.ts";

let bench: Bench;
beforeEach(() => {
  bench = new Bench();
});

test("a user event is delivered and told on once", () => {
  bench.alive(2);
  const body = { CC: true, LTime: 7, Name: "deploy", Payload: Uint8Array.of(1) };
  const first = bench.hearSerf({ kind: "userEvent", body });
  expect(first.find((effect) => effect.kind === "user-event")).toMatchObject({ lTime: 7 });
  expect(bench.hearSerf({ kind: "userEvent", body })).toEqual([]);
  const told = serfSent(bench.pass(2_000)).filter((message) => message.kind === "userEvent");
  expect(told[0]).toEqual({ kind: "userEvent", body });
  expect(bench.pool.times.event).toBe(8);
  bench.hearSerf({ kind: "userEvent", body: { ...body, LTime: 1_000 } });
  expect(bench.hearSerf({ kind: "userEvent", body: { ...body, LTime: 20 } })).toEqual([]);
  expect(bench.pool.counters.get("dropped too-old")).toBe(1);
});

test("an event too large for gossip is refused", () => {
  const effects = bench.step({
    kind: "event-fired",
    name: "e",
    payload: new Uint8Array(512),
    coalesce: false,
  });
  expect(effects).toEqual([expect.objectContaining({ kind: "refused", order: "event-fired" })]);
});

const query: Query = {
  Addr: addressOf(5),
  Filters: null,
  Flags: 1,
  ID: 3,
  LTime: 4,
  Name: "uptime",
  Payload: Uint8Array.of(1),
  Port: 8301,
  RelayFactor: 0,
  SourceNode: "n5",
  Timeout: 3e9,
};

test("a query is acknowledged, delivered once, and answered before its deadline only", () => {
  const effects = bench.hearSerf({ kind: "query", body: query });
  expect(serfSent(effects)).toMatchObject([{ body: { Flags: 1, From: "me", ID: 3 } }]);
  expect(bench.hearSerf({ kind: "query", body: query })).toEqual([]);
  const delivered = effects.find((effect) => effect.kind === "query") as { query: number };
  const answer = { kind: "query-answered", query: delivered.query, payload: noBytes } as const;
  expect(serfSent(bench.step(answer))).toMatchObject([{ body: { Flags: 0, ID: 3 } }]);
  expect(bench.step(answer)).toEqual([expect.objectContaining({ kind: "refused" })]);
  bench.hearSerf({ kind: "query", body: { ...query, ID: 4 } });
  bench.pass(4_000);
  const late = bench.step({ ...answer, query: delivered.query + 1 });
  expect(late).toEqual([expect.objectContaining({ kind: "refused" })]);
});

test("a query for others is told on but not answered", () => {
  bench.alive(2);
  const filters = [Uint8Array.of(0, 0x91, 0xa2, 0x6e, 0x32)];
  const heard = bench.hearSerf({ kind: "query", body: { ...query, Filters: filters } });
  expect(serfSent(heard)).toEqual([]);
  const told = serfSent(bench.pass(1_000)).filter((message) => message.kind === "query");
  expect(told.length).toBeGreaterThan(0);
});

test("answers to our query count once each, whatever way they take", () => {
  bench.alive(2);
  const asked = { name: "q", payload: noBytes, filters: [], wantsAcks: true, relayFactor: 0 };
  bench.step({ kind: "query-asked", ask: 9, query: asked });
  const told = serfSent(bench.pass(500)).find((message) => message.kind === "query");
  const { ID, LTime } = (told as { body: Query }).body;
  const body = { Flags: 0, From: "n2", ID, LTime, Payload: Uint8Array.of(7) };
  const first = bench.hearSerf({ kind: "queryResponse", body });
  expect(first).toEqual([
    { kind: "query-responded", ask: 9, from: "n2", payload: Uint8Array.of(7) },
  ]);
  expect(bench.hearSerf({ kind: "queryResponse", body })).toEqual([]);
  expect(bench.hearSerf({ kind: "queryResponse", body: { ...body, ID: ID + 1 } })).toEqual([]);
  expect(bench.pass(10_000)).toContainEqual({ kind: "query-ended", ask: 9 });
});

test("a relayed answer is sent on unchanged", () => {
  const inner = Uint8Array.of(5, 0x80);
  const body = { address: addressOf(3), port: 99, zone: "", name: "n3", inner };
  const effects = bench.hearSerf({ kind: "relay", body });
  expect(effects).toMatchObject([{ kind: "send-packet", to: { port: 99 } }]);
  expect(ofKind(effects, "user")[0]!.body).toEqual(inner);
});

test("leaving tells the intent, then the death, then lingers", () => {
  bench.alive(2);
  bench.step({ kind: "leave-requested" });
  const effects = bench.pass(12_000);
  const order = effects.flatMap((effect) => {
    if (effect.kind === "left") return ["left"];
    return sent([effect]).flatMap((message) => {
      if (message.kind === "dead" && message.body.From === "me") return ["dead"];
      const isIntent = message.kind === "user" && decodeSerf(message.body).kind === "leave";
      return isIntent ? ["intent"] : [];
    });
  });
  expect([...new Set(order)]).toEqual(["intent", "dead", "left"]);
  expect(bench.all).toContainEqual({ kind: "snapshot-line", line: { kind: "leave" } });
});

test("who is alone leaves at once", () => {
  expect(bench.step({ kind: "leave-requested" })).toContainEqual({ kind: "left" });
});

test("a leave intent in our name is outbid by a join", () => {
  bench.alive(2);
  bench.hearSerf({ kind: "leave", body: { LTime: 50, Node: "me", Prune: false } });
  expect(bench.status("me")).toBe("alive");
  const told = serfSent(bench.pass(1_000)).filter((message) => message.kind === "join");
  expect(told[0]).toMatchObject({ body: { LTime: 51, Node: "me" } });
});

test("an intent is told on once, however often it comes", () => {
  bench.alive(2);
  const intent = { kind: "leave", body: { LTime: 9, Node: "n2", Prune: false } } as const;
  for (let i = 0; i < 3; i++) bench.hearSerf(intent);
  expect(bench.pool.queueLengths.intent).toBe(1);
  bench.hearSerf({ kind: "join", body: { LTime: 9, Node: "n2" } });
  expect([bench.status("n2"), bench.pool.queueLengths.intent]).toEqual(["leaving", 1]);
  bench.hearSerf({ kind: "join", body: { LTime: 10, Node: "n2" } });
  expect(bench.status("n2")).toBe("alive");
});

test("an exchange brings clocks, intents and events, but no old ones to who asked for none", () => {
  const state = encodeSerf({
    kind: "pushPull",
    body: {
      EventLTime: 30,
      Events: [null, { Events: [{ Name: "e", Payload: Uint8Array.of(1) }], LTime: 29 }],
      LTime: 50,
      LeftMembers: ["n2"],
      QueryLTime: 7,
      StatusLTimes: new Map([["n2", 40], ["n3", 41]]),
    },
  });
  const body = { join: false, nodes: [], userState: state };
  const message = encodeStreamMessage({ kind: "pushPull", body });
  bench.alive(2);
  const effects = bench.step({ kind: "received-stream", stream: 1, from, message });
  expect(bench.pool.times).toEqual({ member: 50, event: 30, query: 7 });
  expect(bench.status("n2")).toBe("leaving");
  expect(effects.filter((effect) => effect.kind === "user-event").length).toBe(1);

  const fresh = new Bench();
  const peers = [{ address: addressOf(2), port: 8301 }];
  const opened = fresh.step({ kind: "join-requested", join: 1, peers, ignoreOldEvents: true });
  const { stream } = opened.find((effect) => effect.kind === "open-stream") as { stream: number };
  const joined = fresh.step({ kind: "stream-answered", stream, message });
  expect(joined.filter((effect) => effect.kind === "user-event")).toEqual([]);
});

test("an intent that comes before its member counts when the member comes", () => {
  bench.hearSerf({ kind: "leave", body: { LTime: 5, Node: "n2", Prune: false } });
  bench.alive(2);
  expect(bench.status("n2")).toBe("leaving");
});

test("failed members are forgotten after their time, pruned ones at once", () => {
  bench = new Bench({ reconnectTimeoutMs: 60_000, probeIntervalMs: 1e9 });
  for (const n of [2, 3]) {
    bench.alive(n);
    bench.hear({ kind: "dead", body: { From: "n4", Incarnation: 1, Node: `n${n}` } });
  }
  const pruned = bench.step({ kind: "force-leave-requested", name: "n2", prune: true });
  expect(reports(pruned)).toEqual(["n2 left", "n2 reaped"]);
  expect(reports(bench.pass(80_000))).toEqual(["n3 reaped"]);
  expect(bench.pool.members().map((member) => member.name)).toEqual(["me"]);
});

test("after a restart clocks go on and old events are not delivered again", () => {
  const pool = new GossipPool(settings, new Random(1));
  const snapshot = {
    alive: new Map([["n2", "10.0.0.2:8301"], ["me", "10.0.0.1:8301"]]),
    clock: 40,
    eventClock: 20,
    queryClock: 3,
  };
  const effects = pool.step({ kind: "started", snapshot }, 0);
  expect(pool.times).toEqual({ member: 41, event: 21, query: 4 });
  const opened = effects.flatMap((one) => one.kind === "open-stream" ? [one.to.address] : []);
  expect(opened).toEqual([addressOf(2)]);
  const old = { CC: false, LTime: 20, Name: "e", Payload: null };
  const message = encodeMessage({
    kind: "user",
    body: encodeSerf({ kind: "userEvent", body: old }),
  });
  expect(pool.step({ kind: "received-packet", from, messages: [message] }, 1)).toEqual([]);
});
