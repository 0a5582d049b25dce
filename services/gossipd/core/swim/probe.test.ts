import { beforeEach, expect, test } from "bun:test";
import { addressOf, Bench, ofKind } from "../bench.ts";
import type { Effect } from "../border.ts";
import { decodeMessage } from "../wire/memberlist.ts";

/** Only probes speak. */
const quiet = { reconnectIntervalMs: 1e9, pushPullIntervalMs: 1e9 };
let bench: Bench;
beforeEach(() => {
  bench = new Bench(quiet);
});

const endMs = (effects: readonly Effect[], timer: string) =>
  effects.flatMap((one) => one.kind === "set-timer" && one.timer === timer ? [one.afterMs] : []);

function nextPing(): { seqNo: number; node: string; effects: Effect[] } {
  for (let steps = 0; steps < 200; steps++) {
    const effects = bench.pass(10);
    const [ping] = ofKind(effects, "ping");
    if (ping) return { seqNo: ping.body.SeqNo, node: ping.body.Node, effects };
  }
  throw new Error("no probe in two seconds");
}

function ack(SeqNo: number): void {
  bench.hear({ kind: "ackResp", body: { Payload: null, SeqNo } });
}

for (const [said, expected] of [[3, 0], [1, 2], [0, 3]] as const) {
  test(`of three helpers ${said} say that they too get no answer: health score ${expected}`, () => {
    for (let n = 2; n <= 6; n++) bench.alive(n);
    const { seqNo } = nextPing();
    expect(ofKind(bench.pass(510), "indirectPing").length).toBe(3);
    for (let i = 0; i < said; i++) bench.hear({ kind: "nackResp", body: { SeqNo: seqNo } });
    while (bench.pool.counters.get("probe failures") === undefined) bench.pass(10);
    expect(bench.pool.healthScore).toBe(expected);
  });
}

test("without helpers a failed probe is a sign of our own ill health, an answer of good", () => {
  bench.alive(2);
  nextPing();
  while (bench.pool.counters.get("probe failures") === undefined) bench.pass(10);
  expect(bench.pool.healthScore).toBe(1);
  // The next round begins in the same moment.
  ack(ofKind(bench.all, "ping").at(-1)!.body.SeqNo);
  expect(bench.pool.healthScore).toBe(0);
});

test("who doubts itself gives others more time, and no more than eight times as much", () => {
  bench.alive(2);
  expect(endMs(nextPing().effects, "probe-end")).toEqual([1_000]);
  for (let accused = 1; accused <= 20; accused++) {
    bench.hear({ kind: "suspect", body: { From: "n2", Incarnation: 100 * accused, Node: "me" } });
  }
  expect(bench.pool.healthScore).toBe(7);
  while (ofKind(bench.pass(10), "ping").length === 0);
  expect(endMs(bench.all, "probe-end").at(-1)).toBe(8_000);
});

test("a suspect is told with the ping, so that it can refute at once", () => {
  bench.alive(2);
  bench.alive(3);
  bench.hear({ kind: "suspect", body: { From: "n3", Incarnation: 1, Node: "n2" } });
  while (true) {
    const { node, effects } = nextPing();
    if (node !== "n2") continue;
    const packet = effects.find((one) => one.kind === "send-packet" && one.messages.length === 2);
    const messages = (packet as { messages: Uint8Array[] }).messages.map(decodeMessage);
    expect(messages.map(({ kind }) => kind)).toEqual(["ping", "suspect"]);
    expect(messages[1]!.body).toEqual({ From: "me", Incarnation: 1, Node: "n2" });
    return;
  }
});

test("every member is probed once in a round", () => {
  for (let n = 2; n <= 9; n++) bench.alive(n);
  const round = () =>
    Array.from({ length: 8 }, () => {
      const { node, seqNo } = nextPing();
      ack(seqNo);
      return node;
    });
  const all = ["n2", "n3", "n4", "n5", "n6", "n7", "n8", "n9"];
  const [first, second] = [round(), round()];
  expect([first.toSorted(), second.toSorted()]).toEqual([all, all]);
  expect(first).not.toEqual(second);
});

test("older protocols are asked for no nacks and pinged over no stream", () => {
  const versions = (highest: number) => Uint8Array.of(1, highest, 2, 2, 5, 4);
  for (let n = 2; n <= 5; n++) bench.alive(n, 1, { versions: versions(n === 2 ? 5 : 2) });
  /** What is done when the next probe of such a node is not answered in time. */
  const unanswered = (fits: (node: string) => boolean) => {
    while (true) {
      const { node, seqNo } = nextPing();
      if (fits(node)) return { seqNo, effects: bench.pass(510) };
      ack(seqNo);
    }
  };
  const opensStream = (effects: readonly Effect[]) =>
    effects.some((one) => one.kind === "open-stream" && one.purpose === "ping");
  const newer = unanswered((node) => node === "n2");
  const asked = ofKind(newer.effects, "indirectPing");
  expect(asked.map(({ body }) => body.Nack)).toEqual([false, false, false]);
  expect(opensStream(newer.effects)).toBe(true);
  ack(newer.seqNo);
  expect(opensStream(unanswered((node) => node !== "n2").effects)).toBe(false);
});

test("a flood of requests to probe for others is bounded", () => {
  const request = {
    Nack: false,
    Node: "n5",
    Port: 8301,
    SourceAddr: addressOf(2),
    SourceNode: "n2",
    SourcePort: 8301,
    Target: addressOf(5),
  };
  const body = (SeqNo: number) => ({ ...request, SeqNo });
  for (let n = 0; n < 4_096; n++) bench.hear({ kind: "indirectPing", body: body(n) });
  expect(bench.hear({ kind: "indirectPing", body: body(4_096) })).toEqual([]);
  expect(bench.pool.counters.get("dropped unexpected")).toBe(1);
  bench.pass(510);
  expect(ofKind(bench.hear({ kind: "indirectPing", body: body(4_097) }), "ping").length).toBe(1);
});

test("coordinates ride in acks, unless they are switched off", () => {
  const ping = { Node: "me", SeqNo: 5, SourceAddr: addressOf(3), SourceNode: "n3", SourcePort: 99 };
  const payload = () =>
    ofKind(bench.hear({ kind: "ping", body: ping }), "ackResp")[0]!.body.Payload;
  expect(payload()!.length).toBe(130);
  bench = new Bench({ ...quiet, coordinates: false });
  expect(payload()).toBeNull();
});
