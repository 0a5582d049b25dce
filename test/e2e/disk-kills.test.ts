// kill -9 once at each of the steps of install, compaction and checkpoint; test/e2e/long/kills.ts
// does it a thousand times.

import { afterAll, beforeAll, expect, test } from "bun:test";
import { installSteps, Kills, runningSteps, sumOf } from "./disk/kills.ts";

const rounds = installSteps.length;
const clusters = 4;
const seed = Math.floor(Math.random() * 1e9);
const all = Array.from(
  { length: clusters },
  (_, n) => new Kills(seed + n, n * rounds / clusters),
);

beforeAll(() => Promise.all(all.map((kills) => kills.start())), 60_000);
afterAll(() => Promise.all(all.map((kills) => kills.remove())), 30_000);

test(`killed ${2 * rounds} times, a server loses nothing`, async () => {
  console.log(`seed ${seed}`);
  await Promise.all(all.map(async (kills) => {
    for (let n = 0; n < rounds / clusters; n++) await kills.round();
  }));
  const counts = sumOf(all.map((kills) => kills.counts));
  for (const step of [...installSteps, ...runningSteps]) {
    expect([step, counts[step]]).toEqual([step, 1]);
  }
  expect(counts["compared"]).toBe(rounds);
}, 240_000);
