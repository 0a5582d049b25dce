import { expect, test } from "bun:test";
import { Random } from "#shared/random.ts";
import { LogWeight } from "./log-weight.ts";

const kib = 1024;

test("heavy entries lie behind few indexes, light ones behind many", () => {
  const weight = new LogWeight();
  for (let index = 1; index <= 100; index++) weight.add(index, 500 * kib);
  expect(weight.lastIndexBefore(5_000 * kib)).toBe(90);
  const light = new LogWeight();
  for (let index = 1; index <= 100_000; index++) light.add(index, 100);
  expect(light.lastIndexBefore(20_000 * kib)).toBe(0);
  expect(light.lastIndexBefore(5_000_000)).toBeGreaterThan(45_000);
});

test("never keeps more bytes than asked for, whatever was cut and dropped", () => {
  const seed = 4;
  const random = new Random(seed);
  const weight = new LogWeight();
  let sizes: number[] = [], base = 0;
  for (let round = 0; round < 5_000; round++) {
    const last = base + sizes.length;
    const dice = random.fraction();
    if (dice < 0.7) {
      const size = random.chance(0.1) ? 500 * kib : random.below(10 * kib);
      sizes.push(size);
      weight.add(last + 1, size);
    } else if (dice < 0.75 && sizes.length > 0) {
      const from = base + 1 + random.below(sizes.length);
      sizes = sizes.slice(0, from - base - 1);
      weight.truncateFrom(from);
    } else if (dice < 0.8 && sizes.length > 0) {
      const through = base + 1 + random.below(sizes.length);
      sizes = sizes.slice(through - base);
      base = through;
      weight.dropThrough(through);
    }
    const bound = random.below(4_000 * kib);
    const index = Math.max(base, weight.lastIndexBefore(bound));
    const kept = sizes.slice(index - base).reduce((sum, size) => sum + size, 0);
    expect(index, `seed ${seed} round ${round}`).toBeLessThanOrEqual(base + sizes.length);
    expect(kept, `seed ${seed} round ${round}`).toBeLessThanOrEqual(bound);
  }
});
