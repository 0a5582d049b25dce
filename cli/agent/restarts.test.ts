import { expect, test } from "bun:test";
import { Restarts } from "./restarts.ts";

test("the first restart is at once, repeated failures wait longer up to a bound", () => {
  const restarts = new Restarts();
  const delays = Array.from({ length: 9 }, () => restarts.delayAfter(50));
  expect(delays).toEqual([0, 100, 200, 400, 800, 1600, 3200, 5000, 5000]);
});

test("a daemon that never ran well is given up, one that did is not", () => {
  const never = new Restarts();
  for (let i = 0; i < 10; i++) expect(never.delayAfter(50)).toBeDefined();
  expect(never.delayAfter(50)).toBeUndefined();
  const once = new Restarts();
  once.delayAfter(60_000);
  for (let i = 0; i < 50; i++) expect(once.delayAfter(50)).toBeDefined();
});

test("a good run forgives what was before", () => {
  const restarts = new Restarts();
  for (let i = 0; i < 5; i++) restarts.delayAfter(50);
  expect(restarts.delayAfter(60_000)).toBe(0);
});
