// kill -9 at the steps of install, compaction and checkpoint, a few of each; test/e2e/long/kills.ts
// does it a thousand times.

import { afterAll, beforeAll, expect, test } from "bun:test";
import { Kills } from "./disk/kills.ts";

const rounds = 8;
const seed = Math.floor(Math.random() * 1e9);
const kills = new Kills(seed);

beforeAll(() => kills.start(), 60_000);
afterAll(() => kills.remove(), 30_000);

test(`killed ${2 * rounds} times, a server loses nothing`, async () => {
  console.log(`seed ${seed}`);
  for (let n = 0; n < rounds; n++) await kills.round();
  console.log(JSON.stringify(kills.counts));
  expect(kills.counts["compared"]).toBe(rounds);
}, 240_000);
