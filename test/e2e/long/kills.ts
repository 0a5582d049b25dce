// kill -9 at every step of install, compaction and checkpoint, CURIA_KILLS (1000) times, or for
// CURIA_SECONDS where it has to be done in pieces. Most of a round is waiting, so several clusters are
// at it at a time.

import { afterAll, beforeAll, expect, test } from "bun:test";
import { installSteps, Kills, runningSteps, sumOf } from "../disk/kills.ts";

const killCount = Number(process.env["CURIA_KILLS"] ?? "1000");
const seconds = Number(process.env["CURIA_SECONDS"] ?? "7200");
const clusters = Number(process.env["CURIA_CLUSTERS"] ?? "4");
const seed = Number(process.env["CURIA_SEED"] ?? Math.floor(Math.random() * 1e9));
const all = Array.from({ length: clusters }, (_, n) => new Kills(seed + n, 2 * n));

beforeAll(() => Promise.all(all.map((kills) => kills.start())), 60_000);
afterAll(() => Promise.all(all.map((kills) => kills.remove())), 30_000);

test(`killed ${killCount} times, a server loses nothing`, async () => {
  console.log(`seed ${seed}`);
  const startedMs = performance.now();
  const elapsed = () => (performance.now() - startedMs) / 1_000;
  let begun = 0, done = 0;
  await Promise.all(all.map(async (kills) => {
    while (2 * begun < killCount && elapsed() < seconds) {
      begun++;
      await kills.round();
      if (++done % 20 === 0) console.log(`${2 * done} kills in ${elapsed().toFixed(0)} s`);
    }
  }));
  const counts = sumOf(all.map((kills) => kills.counts));
  const writes = (which: "acknowledged" | "unknown") =>
    all.reduce((sum, { model }) => sum + model[which], 0);
  console.log(
    `${2 * done} kills in ${elapsed().toFixed(0)} s, ${writes("acknowledged")} writes ` +
      `acknowledged, ${writes("unknown")} with an open outcome: ${JSON.stringify(counts)}`,
  );
  expect(counts["compared"]).toBe(done);
  if (done < 2 * clusters * installSteps.length) return;
  for (const step of [...installSteps, ...runningSteps]) {
    expect(counts[step], step).toBeGreaterThan(0);
  }
}, (seconds + 300) * 1_000);
