// kill -9 at every step of install, compaction and checkpoint, CURIA_KILLS (1000) times, or for
// CURIA_SECONDS where it has to be done in pieces.

import { afterAll, beforeAll, expect, test } from "bun:test";
import { installSteps, Kills, runningSteps } from "../disk/kills.ts";

const killCount = Number(process.env["CURIA_KILLS"] ?? "1000");
const seconds = Number(process.env["CURIA_SECONDS"] ?? "7200");
const seed = Number(process.env["CURIA_SEED"] ?? Math.floor(Math.random() * 1e9));
const kills = new Kills(seed);

beforeAll(() => kills.start(), 60_000);
afterAll(() => kills.remove(), 30_000);

test(`killed ${killCount} times, a server loses nothing`, async () => {
  console.log(`seed ${seed}`);
  const startedMs = performance.now();
  const elapsed = () => (performance.now() - startedMs) / 1_000;
  let rounds = 0;
  while (2 * rounds < killCount && elapsed() < seconds) {
    await kills.round();
    if (++rounds % 10 === 0) console.log(`${2 * rounds} kills in ${elapsed().toFixed(0)} s`);
  }
  const { acknowledged, unknown } = kills.model;
  console.log(
    `${2 * rounds} kills in ${elapsed().toFixed(0)} s, ${acknowledged} writes acknowledged, ` +
      `${unknown} with an open outcome: ${JSON.stringify(kills.counts)}`,
  );
  expect(kills.counts["compared"]).toBe(rounds);
  if (rounds < 2 * runningSteps.length) return;
  for (const step of [...installSteps, ...runningSteps]) {
    expect(kills.counts[step], step).toBeGreaterThan(0);
  }
}, (seconds + 300) * 1_000);
