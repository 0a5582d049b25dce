// kill -9 at every step of install, compaction and checkpoint, CURIA_KILLS (1000) times.

import { afterAll, beforeAll, expect, test } from "bun:test";
import { installSteps, Kills, runningSteps } from "../disk/kills.ts";

const killCount = Number(process.env["CURIA_KILLS"] ?? "1000");
const seed = Number(process.env["CURIA_SEED"] ?? Math.floor(Math.random() * 1e9));
const kills = new Kills(seed);

beforeAll(() => kills.start(), 60_000);
afterAll(() => kills.remove(), 30_000);

test(`killed ${killCount} times, a server loses nothing`, async () => {
  console.log(`seed ${seed}`);
  const startedMs = performance.now();
  const rounds = Math.ceil(killCount / 2);
  for (let n = 1; n <= rounds; n++) {
    await kills.round();
    if (n % 10 === 0) console.log(`${2 * n} kills`, JSON.stringify(kills.counts));
  }
  const { acknowledged, unknown } = kills.model;
  const seconds = Math.round((performance.now() - startedMs) / 1_000);
  console.log(
    `${
      2 * rounds
    } kills in ${seconds} s, ${acknowledged} writes acknowledged, ${unknown} with an ` +
      `open outcome: ${JSON.stringify(kills.counts)}`,
  );
  expect(kills.counts["compared"]).toBe(rounds);
  if (rounds < 2 * runningSteps.length) return;
  for (const step of [...installSteps, ...runningSteps]) {
    expect(kills.counts[step], step).toBeGreaterThan(0);
  }
}, killCount * 10_000 + 60_000);
