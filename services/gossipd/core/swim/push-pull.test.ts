import { expect, test } from "bun:test";
import { addressOf, Bench, from, noBytes, reports } from "../bench.ts";
import type { Effect } from "../border.ts";
import { decodeStreamMessage, encodeStreamMessage } from "../wire/memberlist.ts";
import { encodeSerf } from "../wire/serf.ts";
import { pushPullScale } from "./push-pull.ts";

const exchanges = (effects: readonly Effect[]) =>
  effects.flatMap((one) => one.kind === "open-stream" && one.purpose === "push-pull" ? [one] : []);

test("in larger pools each node exchanges less often", () => {
  const scales = [1, 32, 33, 64, 65, 128, 129, 1_000].map(pushPullScale);
  expect(scales).toEqual([1, 1, 2, 2, 3, 3, 4, 6]);
});

test("regular exchanges go to one living member, and are no join", () => {
  const bench = new Bench({ probeIntervalMs: 1e9 });
  for (const n of [2, 3, 4]) bench.alive(n);
  bench.hear({ kind: "dead", body: { From: "n4", Incarnation: 1, Node: "n3" } });
  bench.hear({ kind: "dead", body: { From: "n4", Incarnation: 1, Node: "n4" } });
  const opened = exchanges(bench.pass(120_000));
  expect(opened.length).toBeGreaterThanOrEqual(3);
  expect(opened.length).toBeLessThanOrEqual(4);
  for (const { to, message } of opened) {
    expect([...to.address]).toEqual([...addressOf(2)]);
    const state = decodeStreamMessage(message);
    if (state.kind !== "pushPull") throw new Error(state.kind);
    expect(state.body.join).toBe(false);
    // All that is known goes along, also of the dead.
    expect(state.body.nodes.map(({ Name, State }) => `${Name} ${State}`).sort()).toEqual([
      "me 0",
      "n2 0",
      "n3 2",
      "n4 3",
    ]);
  }
});

test("a user message over a stream is heard like one in a packet", () => {
  const bench = new Bench();
  const event = { CC: false, LTime: 7, Name: "deploy", Payload: noBytes };
  const body = encodeSerf({ kind: "userEvent", body: event });
  const message = encodeStreamMessage({ kind: "user", body });
  const effects = bench.step({ kind: "received-stream", stream: 3, from, message });
  expect(effects).toContainEqual({ kind: "close-stream", stream: 3 });
  expect(effects.find((one) => one.kind === "user-event")).toMatchObject({ name: "deploy" });
});

test("an address that is not allowed does not get in, over packets or streams", () => {
  const bench = new Bench({ addressAllowed: (address) => address[3] !== 66 });
  expect(reports(bench.alive(66))).toEqual([]);
  const { Node: Name, ...rest } = { ...bodyOf(66), Node: "n66" };
  const nodes = [{ Name, State: 0, ...rest }];
  const body = { join: true, nodes, userState: noBytes };
  const message = encodeStreamMessage({ kind: "pushPull", body });
  const effects = bench.step({ kind: "received-stream", stream: 1, from, message });
  expect(reports(effects)).toEqual([]);
  expect(bench.pool.counters.get("dropped not-admitted")).toBe(2);
});

function bodyOf(n: number) {
  const Vsn = Uint8Array.of(1, 5, 2, 2, 5, 4);
  return { Addr: addressOf(n), Incarnation: 1, Meta: noBytes, Port: 8301, Vsn };
}

test("what was recorded long ago and is played again changes nothing and is not told on", () => {
  const bench = new Bench({ probeIntervalMs: 1e9, pushPullIntervalMs: 1e9 });
  bench.alive(3);
  // n2 was accused in its fifth life and has refuted.
  bench.alive(2, 6);
  bench.pass(20_000);
  expect(bench.pool.queueLengths.swim).toBe(0);
  const old = { From: "n3", Incarnation: 5, Node: "n2" };
  const effects = [
    ...bench.hear({ kind: "suspect", body: old }),
    ...bench.hear({ kind: "dead", body: old }),
    ...bench.hear({ kind: "dead", body: { ...old, From: "n2" } }),
    ...bench.alive(2, 5),
    ...bench.alive(2, 6),
  ];
  expect(effects).toEqual([]);
  expect([bench.status("n2"), bench.pool.queueLengths.swim]).toEqual(["alive", 0]);
  // A whole old state over a stream, answered as any, leaves no trace either.
  const node = (Incarnation: number, State: number) => ({
    ...bodyOf(2),
    Incarnation,
    Name: "n2",
    State,
  });
  for (const State of [0, 1, 2, 3]) {
    const body = { join: false, nodes: [node(5, State)], userState: noBytes };
    const message = encodeStreamMessage({ kind: "pushPull", body });
    expect(reports(bench.step({ kind: "received-stream", stream: 1, from, message }))).toEqual([]);
  }
  expect([bench.status("n2"), bench.pool.queueLengths.swim]).toEqual(["alive", 0]);
});
