import { expect, test } from "bun:test";
import { addressOf, Bench, noBytes, reports } from "../bench.ts";
import type { Effect } from "../border.ts";

const joins = (effects: readonly Effect[]) =>
  effects.flatMap((one) =>
    one.kind === "open-stream" && one.purpose === "join" ? [one.to.address[3]] : []
  );
/** No probes and exchanges beside what is tested. */
const still = { probeIntervalMs: 1e9, pushPullIntervalMs: 1e9 };

function fail(bench: Bench, n: number): void {
  bench.hear({ kind: "dead", body: { From: "n9", Incarnation: 1, Node: `n${n}` } });
}

test("failed members are tried again until they are back, those that left are not", () => {
  const bench = new Bench(still);
  for (const n of [2, 3, 4]) bench.alive(n);
  fail(bench, 2);
  bench.hearSerf({ kind: "leave", body: { LTime: 9, Node: "n3", Prune: false } });
  bench.hear({ kind: "dead", body: { From: "n3", Incarnation: 1, Node: "n3" } });
  expect([bench.status("n2"), bench.status("n3")]).toEqual(["failed", "left"]);
  let tried: (number | undefined)[] = [];
  for (let minutes = 0; minutes < 60 && tried.length === 0; minutes++) {
    tried = joins(bench.pass(60_000));
  }
  expect(tried[0]).toBe(addressOf(2)[3]);
  bench.alive(2, 2);
  expect(bench.status("n2")).toBe("alive");
  expect(joins(bench.pass(3_600_000))).toEqual([]);
});

test("a member says itself after what time it is to be forgotten", () => {
  const bench = new Bench({ ...still, reconnectIntervalMs: 1e9 });
  const tags = (rc_tm: string) => ({ tags: new Map([["rc_tm", rc_tm]]) });
  bench.alive(2, 1, tags("2m"));
  bench.alive(3, 1, tags("nonsense"));
  for (const n of [2, 3]) fail(bench, n);
  expect(reports(bench.pass(110_000))).toEqual([]);
  expect(reports(bench.pass(40_000))).toEqual(["n2 reaped"]);
  expect(reports(bench.pass(24 * 3_600_000))).toEqual(["n3 reaped"]);
});

test("an intent for a member that never came is forgotten", () => {
  for (const [waitMs, status] of [[4 * 60_000, "leaving"], [6 * 60_000, "alive"]] as const) {
    const bench = new Bench(still);
    bench.hearSerf({ kind: "leave", body: { LTime: 5, Node: "n2", Prune: false } });
    bench.pass(waitMs);
    bench.alive(2);
    expect([waitMs, bench.status("n2")]).toEqual([waitMs, status]);
  }
});

test("a queue that nobody empties is cut to its depth, in large pools to a larger one", () => {
  for (
    const [depths, expected] of [
      [{ queueDepthMax: 10 }, 10],
      [{ queueDepthMax: 10, queueDepthMin: 20 }, 20],
    ] as const
  ) {
    const bench = new Bench({ ...still, ...depths, gossipIntervalMs: 1e9 });
    for (let LTime = 1; LTime <= 60; LTime++) {
      bench.hearSerf({
        kind: "userEvent",
        body: { CC: false, LTime, Name: "e", Payload: noBytes },
      });
    }
    expect(bench.pool.queueLengths.event).toBe(60);
    bench.pass(30_000);
    expect(bench.pool.queueLengths.event).toBe(expected);
  }
});
