// Small fixed runs of the simulator; main.ts has the large ones.
import { expect, test } from "bun:test";
import {
  formPool,
  measureFailure,
  measureJoin,
  measureLeave,
  measureLoss,
  measurePartition,
  measureStalls,
  viewsAreWhole,
  withoutLifeguard,
} from "./scenarios.ts";
import { World } from "./world.ts";

const seed = Number(process.env["SIM_SEED"] ?? 1);

test(`same seed, same run (seed ${seed})`, () => {
  const runOnce = () => {
    const world = formPool(12, { seed, lossShare: 0.1 });
    world.run(world.nowMs + 30_000);
    return world.nodes.map((node) => [node.sentPackets, node.sentBytes, node.pool.coordinate]);
  };
  expect(runOnce()).toEqual(runOnce());
});

test(`news reaches all of 10 and of 60 nodes within a few rounds (seed ${seed})`, () => {
  for (const size of [10, 60]) {
    const world = formPool(size, { seed });
    const inRounds = ({ firstMs, allMs }: { firstMs: number; allMs: number }) =>
      (allMs - firstMs) / 200;
    const roundsMax = 2 * Math.ceil(Math.log2(size));
    expect(inRounds(measureJoin(world))).toBeLessThan(roundsMax);
    expect(inRounds(measureFailure(world))).toBeLessThan(roundsMax);
    expect(inRounds(measureLeave(world))).toBeLessThan(roundsMax);
  }
}, 60_000);

test(`a failure is seen within the longest suspicion (seed ${seed})`, () => {
  const world = formPool(30, { seed });
  const { firstMs, allMs } = measureFailure(world);
  // A round of probes over 30 nodes is the worst before the first notices; the mean is one interval.
  expect(firstMs).toBeLessThan(36_000);
  expect(allMs - firstMs).toBeLessThan(10_000);
}, 60_000);

test(`Lifeguard keeps healthy members from being declared failed (seed ${seed})`, () => {
  const run = (profile: object) =>
    measureStalls(40, {
      seed,
      profile,
      stalledShare: 0.1,
      stallMs: 20_000,
      minutes: 2,
      mode: "blocked",
    });
  const without = run(withoutLifeguard);
  const guarded = run({});
  expect(without.aboutHealthy).toBeGreaterThan(100);
  expect(guarded.aboutHealthy).toBeLessThanOrEqual(without.aboutHealthy / 50);
  expect([without.healed, guarded.healed]).toEqual([true, true]);
}, 60_000);

test(`a pool that was split has equal views again (seed ${seed})`, () => {
  const { healedMs } = measurePartition(30, { seed, share: 0.4 });
  expect(healedMs).toBeLessThan(600_000);
}, 60_000);

test(`with 20 % loss nobody is declared failed for good (seed ${seed})`, () => {
  const { failedForGood } = measureLoss(40, { seed, lossShare: 0.2, minutes: 5 });
  expect(failedForGood).toBe(0);
}, 60_000);

test(`a node that restarts within the suspicion is never failed (seed ${seed})`, () => {
  const world = formPool(20, { seed });
  const node = world.nodes[7]!;
  world.run(world.nowMs + 5_000);
  world.kill(node);
  world.run(world.nowMs + 1_500);
  world.restart(node);
  world.join(node, world.nodes[0]!);
  world.run(world.nowMs + 60_000);
  expect(world.reports.filter((report) => report.change === "failed")).toEqual([]);
  expect(viewsAreWhole(world)).toBe(true);
}, 60_000);

test("the network of the simulator really loses, delays and splits", () => {
  const world = new World({ seed, lossShare: 1 });
  const [a, b] = [world.add(), world.add()];
  world.join(a, b);
  world.run(60_000);
  const failed = world.reports.filter((report) => report.change === "failed");
  expect(failed).toEqual([]);
  a.side = 1;
  world.run(120_000);
  expect(world.reports.some((report) => report.change === "failed")).toBe(true);
});
