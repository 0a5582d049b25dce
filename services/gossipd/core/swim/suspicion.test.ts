import { expect, test } from "bun:test";
import {
  confirmSuspicion,
  remainingMs,
  startSuspicion,
  suspicionRemainingMs,
  suspicionTimeoutMs,
} from "./suspicion.ts";

test("the timeout grows with the logarithm of the pool, not below ten nodes", () => {
  const timeouts = [1, 5, 10, 50, 100, 500, 1000].map((n) => suspicionTimeoutMs(3, n, 1000));
  expect(timeouts).toEqual([3000, 3000, 3000, 5094, 6000, 8094, 9000]);
});

test("each confirmation takes a smaller step from the longest to the shortest", () => {
  const of = (confirmations: number, elapsed: number) =>
    remainingMs(confirmations, 3, elapsed, 2_000, 30_000);
  expect([0, 1, 2, 3, 4].map((n) => of(n, 0))).toEqual([30_000, 16_000, 7_810, 2_000, 2_000]);
  expect(of(1, 2_000)).toBe(14_000);
  expect(of(3, 2_500)).toBe(-500);
});

test("without anyone to confirm it is the shortest from the start", () => {
  const settings = { suspicionMult: 4, suspicionMaxTimeoutMult: 6, probeIntervalMs: 1_000 };
  expect(suspicionRemainingMs(startSuspicion("a", 3, settings, 0), 0)).toBe(4_000);
  expect(suspicionRemainingMs(startSuspicion("a", 4, settings, 0), 0)).toBe(24_000);
});

test("only new accusers confirm, and no more than are expected", () => {
  const settings = { suspicionMult: 4, suspicionMaxTimeoutMult: 6, probeIntervalMs: 1_000 };
  const suspicion = startSuspicion("a", 10, settings, 0);
  const heard = ["a", "b", "b", "c", "d"].map((from) => confirmSuspicion(suspicion, from));
  expect(heard).toEqual([false, true, false, true, false]);
  expect(suspicionRemainingMs(suspicion, 1_000)).toBe(3_000);
});
