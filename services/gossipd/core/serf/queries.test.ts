import { expect, test } from "bun:test";
import { addressOf, Bench, noBytes, ofKind, serfSent } from "../bench.ts";
import type { Effect } from "../border.ts";
import { decodeSerf, encodeFilter, type Query, queryFlags } from "../wire/serf.ts";

const query: Query = {
  Addr: addressOf(5),
  Filters: null,
  Flags: queryFlags.ack,
  ID: 3,
  LTime: 4,
  Name: "uptime",
  Payload: noBytes,
  Port: 8301,
  RelayFactor: 0,
  SourceNode: "n5",
  Timeout: 3e9,
};
const still = { probeIntervalMs: 1e9, pushPullIntervalMs: 1e9 };

/** Where each of Serf's messages goes. */
const addressed = (effects: readonly Effect[]) =>
  effects.flatMap((one) => {
    if (one.kind !== "send-packet") return [];
    return ofKind([one], "user").map(({ body }) => `${decodeSerf(body).kind} ${one.to.address[3]}`);
  });

test("answers go straight and, where that is asked, by way of others that are alive", () => {
  const bench = new Bench(still);
  for (const n of [2, 3, 4]) bench.alive(n);
  bench.hear({ kind: "dead", body: { From: "n2", Incarnation: 1, Node: "n4" } });
  const body = { ...query, RelayFactor: 2 };
  const sent = addressed(bench.hearSerf({ kind: "query", body }));
  expect(sent.toSorted()).toEqual(["queryResponse 5", "relay 2", "relay 3"]);
  const relayed = serfSent(bench.all).find((one) => one.kind === "relay");
  if (relayed?.kind !== "relay") throw new Error("no relay");
  expect(relayed.body).toMatchObject({ address: addressOf(5), port: 8301, name: "n5" });
  expect(decodeSerf(relayed.body.inner)).toMatchObject({ kind: "queryResponse", body: { ID: 3 } });

  const small = new Bench(still);
  small.alive(2);
  expect(addressed(small.hearSerf({ kind: "query", body }))).toEqual(["queryResponse 5"]);
});

test("filters by name and by tag must all match", () => {
  const node = (...names: string[]) => encodeFilter({ kind: "node", names });
  const tag = (name: string, expression: string) =>
    encodeFilter({ kind: "tag", tag: name, expression });
  const cases: [filters: Uint8Array[], isMeant: boolean][] = [
    [[], true],
    [[node("me", "n2")], true],
    [[node("n2")], false],
    [[tag("role", "^w.b$")], true],
    [[tag("role", "^b$")], false],
    [[tag("absent", "^$")], true],
    [[node("me"), tag("role", "db")], false],
    [[Uint8Array.of(9)], false],
  ];
  for (const [Filters, isMeant] of cases) {
    const bench = new Bench();
    const effects = bench.hearSerf({ kind: "query", body: { ...query, Filters } });
    expect([Filters, effects.some((one) => one.kind === "query")]).toEqual([Filters, isMeant]);
  }
});

test("a query that is not to be told on is not", () => {
  const bench = new Bench();
  bench.hearSerf({ kind: "query", body: { ...query, Flags: queryFlags.noBroadcast } });
  expect(bench.pool.queueLengths.query).toBe(0);
  bench.hearSerf({ kind: "query", body: { ...query, ID: 4 } });
  expect(bench.pool.queueLengths.query).toBe(1);
});

test("a question and an answer that are too large are refused", () => {
  const bench = new Bench();
  const payload = new Uint8Array(1_024);
  const asked = { name: "q", payload, filters: [], wantsAcks: false, relayFactor: 0 };
  const refusedQuery = bench.step({ kind: "query-asked", ask: 1, query: asked });
  expect(refusedQuery).toEqual([
    expect.objectContaining({ ask: 1, reason: "query exceeds limit of 1024 bytes" }),
  ]);
  const heard = bench.hearSerf({ kind: "query", body: query });
  const { query: number } = heard.find((one) => one.kind === "query") as { query: number };
  const refused = bench.step({ kind: "query-answered", query: number, payload });
  expect(refused).toEqual([
    expect.objectContaining({ reason: "response exceeds limit of 1024 bytes" }),
  ]);
  // A smaller answer may still follow.
  const answered = bench.step({ kind: "query-answered", query: number, payload: noBytes });
  expect(addressed(answered)).toEqual(["queryResponse 5"]);
});

test("the time for answers grows with the digits of the pool's size", () => {
  for (const [others, expectedMs] of [[0, 3_200], [8, 3_200], [9, 6_400], [99, 9_600]] as const) {
    const bench = new Bench(still);
    for (let n = 2; n < 2 + others; n++) bench.alive(n);
    const asked = { name: "q", payload: noBytes, filters: [], wantsAcks: false, relayFactor: 0 };
    const effects = bench.step({ kind: "query-asked", ask: 1, query: asked });
    const timer = effects.find((one) => one.kind === "set-timer" && one.timer === "ask-ended");
    expect([others, timer]).toMatchObject([others, { afterMs: expectedMs }]);
  }
});
