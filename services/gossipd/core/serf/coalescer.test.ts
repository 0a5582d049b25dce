import { expect, test } from "bun:test";
import { Bench, ofKind, reports } from "../bench.ts";
import type { Effect } from "../border.ts";
import { agentCoalescing } from "../settings.ts";

const told = (effects: readonly Effect[]) =>
  effects.flatMap((effect) =>
    effect.kind === "user-event" ? [`${effect.name} ${effect.lTime} ${effect.payload.join()}`] : []
  );

function event(bench: Bench, Name: string, LTime: number, payload = LTime, CC = true): Effect[] {
  const body = { CC, LTime, Name, Payload: Uint8Array.of(payload) };
  return bench.hearSerf({ kind: "userEvent", body });
}

test("of events that may be taken together the newest is told, after a second of calm", () => {
  const bench = new Bench(agentCoalescing);
  for (const lTime of [3, 5, 4]) expect(told(event(bench, "deploy", lTime))).toEqual([]);
  event(bench, "deploy", 5, 99);
  event(bench, "restart", 2);
  expect(told(bench.pass(999))).toEqual([]);
  // All of the newest Lamport time: nobody can say which of those came first.
  expect(told(bench.pass(1)).sort()).toEqual(["deploy 5 5", "deploy 5 99", "restart 2 2"]);
  // What was told once is told again when it is fired again.
  event(bench, "deploy", 6);
  expect(told(bench.pass(5_000))).toEqual(["deploy 6 6"]);
});

test("an event whose sender does not allow it is told at once", () => {
  const bench = new Bench(agentCoalescing);
  event(bench, "deploy", 3);
  expect(told(event(bench, "deploy", 4, 4, false))).toEqual(["deploy 4 4"]);
  expect(told(bench.pass(1_000))).toEqual(["deploy 3 3"]);
});

test("without calm the period ends the waiting", () => {
  const bench = new Bench(agentCoalescing);
  const startMs = bench.nowMs;
  const times: number[] = [];
  for (let lTime = 1; lTime <= 40; lTime++) {
    event(bench, "load", lTime);
    const before = bench.all.length;
    bench.pass(100);
    if (told(bench.all.slice(before)).length > 0) times.push(bench.nowMs - startMs);
  }
  expect(times).toEqual([3_000]);
  expect(told(bench.all)).toEqual(["load 30 30"]);
});

test("events are passed on while they wait, not after", () => {
  const bench = new Bench({ ...agentCoalescing, userQuiescentPeriodMs: 2_000 });
  bench.alive(2);
  event(bench, "deploy", 3);
  expect(ofKind(bench.pass(1_000), "user").length).toBeGreaterThan(0);
  expect(told(bench.all)).toEqual([]);
});

test("of a member the last change is told, and none that changes nothing", () => {
  const bench = new Bench({ ...agentCoalescing, suspicionMult: 1 });
  const dead = (n: number, Incarnation: number) =>
    bench.hear({ kind: "dead", body: { From: "n9", Incarnation, Node: `n${n}` } });
  bench.alive(2);
  bench.alive(3);
  dead(3, 1);
  expect(reports(bench.all)).toEqual([]);
  expect(bench.status("n2")).toBe("alive");
  expect(reports(bench.pass(1_000)).sort()).toEqual(["me joined", "n2 joined", "n3 failed"]);

  dead(2, 1);
  bench.alive(2, 2);
  expect(reports(bench.pass(1_000))).toEqual([]);
  for (const role of ["db", "web"]) {
    bench.alive(2, role === "db" ? 3 : 4, { tags: new Map([["role", role]]) });
    expect(reports(bench.pass(900))).toEqual([]);
  }
  const updated = bench.pass(1_000).filter((effect) => effect.kind === "report");
  expect(updated).toMatchObject([
    { change: "updated", member: { tags: new Map([["role", "web"]]) } },
  ]);
  // New tags are news each time, whatever was told last.
  bench.alive(2, 5, { tags: new Map([["role", "cache"]]) });
  expect(reports(bench.pass(1_000))).toEqual(["n2 updated"]);
});

test("Consul's pools tell all at once; a pool that is left keeps nothing back", () => {
  const consul = new Bench();
  expect(told(event(consul, "deploy", 3))).toEqual(["deploy 3 3"]);
  expect(reports(consul.alive(2))).toEqual(["n2 joined"]);

  const agent = new Bench(agentCoalescing);
  event(agent, "deploy", 3);
  const left = agent.step({ kind: "leave-requested" });
  expect([...told(left), ...reports(left)]).toEqual(["deploy 3 3", "me left"]);
});

test("what waits is bounded: beyond that it is told early", () => {
  const bench = new Bench(agentCoalescing);
  for (let n = 1; n < 4_096; n++) event(bench, `name-${n}`, 1 + n % 500, n % 256);
  expect(told(bench.all).length).toBe(0);
  event(bench, "last", 7);
  expect(told(bench.all).length).toBe(4_096);
  expect(told(bench.pass(5_000))).toEqual([]);
});
