// New seeds for a fixed time, and every seed that once failed.

import { expect, test } from "bun:test";
import { flavours } from "./mix.ts";
import { runSeed } from "./run.ts";
import { StoreStates } from "./store-state.ts";

/** How long new seeds are tried, in real time. */
const EXPLORE_MS = 15_000;

/** Seeds that once failed, with what was wrong. A change of the simulator's own draws makes another
 *  run of a seed; what such a one showed has a test of its own beside the core. */
const regressions = [
  { seed: 101_484, was: "a removed leader was the only one that could finish its removal" },
  { seed: 201_067, was: "a vote outlived the first entry, and the server was blank no more" },
  { seed: 300_480, was: "a late refusal of an older term's heartbeat confirmed reads in the new" },
];

test.each(regressions)("seed $seed: $was", ({ seed }) => {
  expect(runSeed({ seed, minutes: 1 }).violation).toBeUndefined();
}, 120_000);

test("new seeds hold every claim", () => {
  const first = Math.floor(Math.random() * 2 ** 31);
  const startedMs = performance.now();
  let seeds = 0, virtualMs = 0, calls = 0, faults = 0;
  while (performance.now() - startedMs < EXPLORE_MS) {
    const seed = first + seeds;
    const flavour = flavours[seeds % flavours.length];
    const report = runSeed({ seed, minutes: 1, flavour });
    if (report.violation !== undefined) {
      throw new Error(
        `${report.violation}\nagain: deno task sim --seed ${seed} --minutes 1 --flavour ${flavour}`,
      );
    }
    seeds++;
    virtualMs += report.virtualMs;
    calls += report.calls;
    faults += report.faults;
  }
  const hours = (virtualMs / 3_600_000).toFixed(2);
  console.log(`${seeds} seeds, ${hours} virtual hours, ${faults} faults, ${calls} calls checked`);
  expect(seeds).toBeGreaterThan(0);
}, 120_000);

test("the production state tables hold them too", () => {
  for (const [seed, flavour] of [[1, "elections"], [2, "disks"], [3, "snapshots"]] as const) {
    const states = new StoreStates();
    const { violation } = runSeed({ seed, minutes: 0.3, flavour, states });
    states.close();
    expect(violation).toBeUndefined();
  }
}, 120_000);

test("the same seed gives the same run", () => {
  const { counts, events, committed } = runSeed({ seed: 7, minutes: 0.2 });
  const again = runSeed({ seed: 7, minutes: 0.2 });
  expect({ counts: again.counts, events: again.events, committed: again.committed })
    .toEqual({ counts, events, committed });
});
