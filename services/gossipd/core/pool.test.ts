import { beforeEach, expect, test } from "bun:test";
import { addressOf, aliveOf, Bench, from, noBytes, ofKind, reports, serfSent } from "./bench.ts";
import { decodeStreamMessage, encodeStreamMessage, type PushPullNode } from "./wire/memberlist.ts";

let bench: Bench;
beforeEach(() => {
  bench = new Bench();
});

test("a ping is answered where its source says, and one for another name is not", () => {
  const ping = { Node: "me", SeqNo: 5, SourceAddr: addressOf(3), SourceNode: "n3", SourcePort: 99 };
  const [answer] = bench.hear({ kind: "ping", body: ping });
  expect(answer).toMatchObject({ kind: "send-packet", to: { address: addressOf(3), port: 99 } });
  expect(ofKind([answer!], "ackResp")[0]!.body).toMatchObject({ SeqNo: 5 });
  expect(bench.hear({ kind: "ping", body: { ...ping, Node: "other" } })).toEqual([]);
  const bare = { Node: "", SeqNo: 6, SourceAddr: null, SourceNode: "", SourcePort: 0 };
  expect(bench.hear({ kind: "ping", body: bare })[0]).toMatchObject({ to: from });
});

test("an alive node joins, an older incarnation changes nothing, newer tags are an update", () => {
  expect(reports(bench.alive(2))).toEqual(["n2 joined"]);
  const tags = new Map([["v", "2"]]);
  expect(reports(bench.alive(2, 1, { tags }))).toEqual([]);
  expect(reports(bench.alive(2, 2, { tags }))).toEqual(["n2 updated"]);
  expect(bench.pool.members().find((member) => member.name === "n2")!.tags).toEqual(tags);
});

test("an accusation of ourselves is refuted with a higher incarnation", () => {
  bench.alive(2);
  const accusation = { From: "n2", Incarnation: 41, Node: "me" };
  bench.hear({ kind: "suspect", body: accusation });
  expect(bench.pool.healthScore).toBe(1);
  const [alive] = ofKind(bench.pass(1_000), "alive").filter((one) => one.body.Node === "me");
  expect(alive!.body.Incarnation).toBe(42);
  bench.hear({ kind: "dead", body: { ...accusation, Incarnation: 42 } });
  expect(bench.status("me")).toBe("alive");
  const again = ofKind(bench.pass(1_000), "alive").filter((one) => one.body.Node === "me");
  expect(again.at(-1)!.body.Incarnation).toBe(43);
});

test("another who speaks in our name is outbid", () => {
  bench.alive(2);
  bench.pass(10_000);
  const imposter = { ...aliveOf(1, 1), Node: "me", Meta: Uint8Array.of(0xff, 0x80) };
  bench.hear({ kind: "alive", body: imposter });
  const [alive] = ofKind(bench.pass(1_000), "alive").filter((one) => one.body.Node === "me");
  expect(alive!.body.Incarnation).toBe(2);
});

test("an old accusation raises no suspicion", () => {
  bench = new Bench({ probeIntervalMs: 1e9, pushPullIntervalMs: 1e9 });
  bench.alive(2, 5);
  bench.alive(3);
  bench.hear({ kind: "suspect", body: { From: "n3", Incarnation: 4, Node: "n2" } });
  expect(ofKind(bench.pass(5_000), "suspect")).toEqual([]);
});

test("gossip goes to the living and the newly dead, not to those who left", () => {
  bench = new Bench({ probeIntervalMs: 1e9, pushPullIntervalMs: 1e9 });
  for (const n of [2, 3, 4]) bench.alive(n);
  bench.hear({ kind: "dead", body: { From: "n2", Incarnation: 1, Node: "n3" } });
  bench.hear({ kind: "dead", body: { From: "n4", Incarnation: 1, Node: "n4" } });
  const told = bench.pass(3_000).flatMap((effect) =>
    effect.kind === "send-packet" ? [effect.to.address[3]] : []
  );
  expect([...new Set(told)].sort()).toEqual([2, 3]);
});

test("an accusation at the highest incarnation does not break us", () => {
  bench.alive(2);
  bench.hear({ kind: "suspect", body: { From: "n2", Incarnation: 0xffff_ffff, Node: "me" } });
  const [alive] = ofKind(bench.pass(1_000), "alive").filter((one) => one.body.Node === "me");
  expect(alive!.body.Incarnation).toBe(0xffff_ffff);
});

test("a suspect that stays silent is failed, one that refutes in time is not", () => {
  for (let n = 2; n <= 12; n++) bench.alive(n);
  const suspect = (n: number) => ({ From: "n12", Incarnation: 1, Node: `n${n}` });
  bench.hear({ kind: "suspect", body: suspect(2) }, { kind: "suspect", body: suspect(3) });
  bench.alive(3, 2);
  const failed = reports(bench.pass(40_000));
  expect(failed).toContain("n2 failed");
  expect(bench.all.filter((effect) => effect.kind === "report").length).toBeGreaterThan(0);
  // The silent bench answers no probes, so others fail too, but n3 not by the first accusation.
  expect(failed.indexOf("n2 failed")).toBe(0);
});

test("old news of a death is dropped, and of one's own leaving is left", () => {
  bench.alive(2, 5);
  bench.hear({ kind: "dead", body: { From: "n3", Incarnation: 4, Node: "n2" } });
  expect(bench.status("n2")).toBe("alive");
  bench.hearSerf({ kind: "leave", body: { LTime: 9, Node: "n2", Prune: false } });
  expect(bench.status("n2")).toBe("leaving");
  const effects = bench.hear({ kind: "dead", body: { From: "n2", Incarnation: 5, Node: "n2" } });
  expect(reports(effects)).toEqual(["n2 left"]);
});

test("another address for a living name is a conflict; a left name may come back with it", () => {
  bench.alive(2);
  const moved = { address: addressOf(77) };
  const effects = bench.alive(2, 2, moved);
  expect([reports(effects), effects.some((one) => one.kind === "note")]).toEqual([[], true]);
  bench.hear({ kind: "dead", body: { From: "n2", Incarnation: 1, Node: "n2" } });
  expect(reports(bench.alive(2, 1, moved))).toEqual(["n2 joined"]);
});

test("a failed name may come back with another address after the reclaim time", () => {
  bench = new Bench({ deadNodeReclaimMs: 5_000, probeIntervalMs: 1e9, gossipToTheDeadMs: 1e9 });
  bench.alive(2);
  bench.hear({ kind: "dead", body: { From: "n3", Incarnation: 1, Node: "n2" } });
  expect(reports(bench.alive(2, 2, { port: 99 }))).toEqual([]);
  bench.pass(6_000);
  expect(reports(bench.alive(2, 2, { port: 99 }))).toEqual(["n2 joined"]);
});

test("protocols that make no sense are ignored", () => {
  for (const versions of [[0, 5, 2, 2, 5, 4], [5, 1, 2, 2, 5, 4], [1, 5, 2], []]) {
    expect(reports(bench.alive(2, 1, { versions: Uint8Array.from(versions) }))).toEqual([]);
  }
  expect(bench.pool.counters.get("dropped versions")).toBe(4);
});

const pushPull = (nodes: PushPullNode[], join = true, userState = noBytes) =>
  encodeStreamMessage({ kind: "pushPull", body: { join, nodes, userState } });
const nodeOf = (n: number, State: number, changes: Partial<PushPullNode> = {}): PushPullNode => {
  const { Node: Name, ...rest } = aliveOf(n, 1);
  return { Name, State, ...rest, ...changes };
};

test("a full exchange is answered with our state before theirs is merged", () => {
  const message = pushPull([nodeOf(2, 0), nodeOf(3, 2), nodeOf(4, 3)], false);
  const effects = bench.step({ kind: "received-stream", stream: 4, from, message });
  const [reply] = effects;
  expect(reply).toMatchObject({ kind: "reply-stream", stream: 4 });
  const answer = decodeStreamMessage((reply as { message: Uint8Array }).message);
  expect(answer).toMatchObject({ kind: "pushPull", body: { join: false } });
  const names = answer.kind === "pushPull" ? answer.body.nodes.map((node) => node.Name) : [];
  expect(names).toEqual(["me"]);
  // Unknown nodes that are dead or left are of no interest.
  expect(reports(effects)).toEqual(["n2 joined"]);
});

test("what another holds for dead is only suspect to us", () => {
  bench.alive(2);
  bench.step({
    kind: "received-stream",
    stream: 1,
    from,
    message: pushPull([nodeOf(2, 2)], false),
  });
  expect(bench.status("n2")).toBe("alive");
  bench.alive(2, 2);
  expect(reports(bench.all).includes("n2 failed")).toBe(false);
});

test("versions out of range refuse the whole merge", () => {
  const Vsn = Uint8Array.of(1, 5, 6, 2, 5, 4);
  const message = pushPull([nodeOf(2, 0), nodeOf(3, 0, { Vsn })]);
  const effects = bench.step({ kind: "received-stream", stream: 1, from, message });
  expect(reports(effects)).toEqual([]);
  expect(effects.find((effect) => effect.kind === "note")).toMatchObject({
    message: expect.stringContaining("protocol 6"),
  });
});

test("a join reports whom it reached and why it failed", () => {
  const peers = [2, 3].map((n) => ({ address: addressOf(n), port: 8301 }));
  const effects = bench.step({ kind: "join-requested", join: 3, peers });
  const streams = effects.flatMap((one) => one.kind === "open-stream" ? [one.stream] : []);
  expect(streams.length).toBe(2);
  bench.step({ kind: "stream-failed", stream: streams[0]!, reason: "connection refused" });
  const message = pushPull([nodeOf(3, 0)]);
  const end = bench.step({ kind: "stream-answered", stream: streams[1]!, message });
  expect(end.find((effect) => effect.kind === "joined")).toEqual({
    kind: "joined",
    join: 3,
    contactedCount: 1,
    errors: ["Failed to join 10.0.0.2:8301: connection refused"],
  });
  const told = serfSent(bench.pass(1_000)).filter((message) => message.kind === "join");
  expect(told[0]).toMatchObject({ body: { Node: "me" } });
});

test("a probe without an answer asks helpers and opens a stream, then suspects", () => {
  bench = new Bench({ reconnectIntervalMs: 1e9, pushPullIntervalMs: 1e9 });
  for (let n = 2; n <= 6; n++) bench.alive(n);
  const effects = bench.pass(1_550);
  const [ping] = ofKind(effects, "ping");
  const helpers = ofKind(effects, "indirectPing");
  expect(helpers.length).toBe(3);
  const { SeqNo, Node } = ping!.body;
  expect(helpers.every(({ body }) => body.SeqNo === SeqNo && body.Nack)).toBe(true);
  expect(effects.find((effect) => effect.kind === "open-stream")).toMatchObject({
    purpose: "ping",
  });
  const suspects = ofKind(bench.pass(1_000), "suspect");
  expect(suspects[0]!.body).toMatchObject({ From: "me", Node });
});

test("an answer by a helper or by stream saves the probed node", () => {
  for (const way of ["helper", "stream"] as const) {
    bench = new Bench({ reconnectIntervalMs: 1e9, pushPullIntervalMs: 1e9 });
    bench.alive(2);
    bench.alive(3);
    const effects = bench.pass(1_550);
    const { SeqNo } = ofKind(effects, "ping")[0]!.body;
    if (way === "helper") bench.hear({ kind: "ackResp", body: { Payload: null, SeqNo } });
    else {
      const open = effects.find((effect) => effect.kind === "open-stream") as { stream: number };
      const message = encodeStreamMessage({ kind: "ackResp", body: { Payload: null, SeqNo } });
      bench.step({ kind: "stream-answered", stream: open.stream, message });
    }
    const later = bench.pass(500);
    expect(ofKind(later, "suspect")).toEqual([]);
  }
});

test("a helper passes on the answer, and says when there is none", () => {
  const request = {
    Nack: true,
    Node: "n5",
    Port: 8301,
    SeqNo: 77,
    SourceAddr: addressOf(2),
    SourceNode: "n2",
    SourcePort: 8301,
    Target: addressOf(5),
  };
  const [ping] = ofKind(bench.hear({ kind: "indirectPing", body: request }), "ping");
  const ack = { Payload: Uint8Array.of(1), SeqNo: ping!.body.SeqNo };
  const effects = bench.hear({ kind: "ackResp", body: ack });
  expect(effects[0]).toMatchObject({ to: { address: addressOf(2), port: 8301 } });
  expect(ofKind(effects, "ackResp")[0]!.body).toEqual({ Payload: null, SeqNo: 77 });
  bench.hear({ kind: "indirectPing", body: { ...request, SeqNo: 78 } });
  expect(ofKind(bench.pass(600), "nackResp").map(({ body }) => body.SeqNo)).toEqual([78]);
});

test("a round in which we ourselves were stalled gives no verdict", () => {
  bench = new Bench({ reconnectIntervalMs: 1e9, pushPullIntervalMs: 1e9 });
  bench.alive(2);
  while (ofKind(bench.all, "ping").length === 0) bench.pass(50);
  // The process stops for ten seconds: all its timers are late.
  bench.nowMs += 10_000;
  const effects = bench.pass(1_500);
  const accused = ofKind(effects, "suspect");
  expect(accused).toEqual([]);
  expect(bench.pool.healthScore).toBeGreaterThan(0);
});

test("a timer that was set aside does nothing", () => {
  expect(bench.step({ kind: "timer-fired", timer: "probe", token: 9_999 })).toEqual([]);
});

test("bytes that are no message are counted and do no harm", () => {
  const messages = [noBytes, Uint8Array.of(99), Uint8Array.of(4, 0x81), Uint8Array.of(8, 77)];
  expect(bench.step({ kind: "received-packet", from, messages })).toEqual([]);
  expect(bench.pool.counters.get("dropped malformed")).toBe(4);
  const effects = bench.step({ kind: "received-stream", stream: 1, from, message: noBytes });
  expect(effects).toEqual([{ kind: "close-stream", stream: 1 }]);
});
