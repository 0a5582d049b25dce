import { expect, test } from "bun:test";
import fc from "fast-check";
import { formatDuration, formatDurationMs, parseDuration, parseDurationMs } from "./duration.ts";

test("reads what Go reads", () => {
  expect(parseDuration("300ms")).toBe(300_000_000n);
  expect(parseDuration("1h30m")).toBe(5_400_000_000_000n);
  expect(parseDuration("-1.5s")).toBe(-1_500_000_000n);
  expect(parseDuration("+.5m")).toBe(30_000_000_000n);
  expect(parseDuration("0")).toBe(0n);
  expect(parseDuration("1µs1us1ns")).toBe(2001n);
  expect(parseDurationMs("1.5ms")).toBe(1.5);
  expect(parseDurationMs("87600h")).toBe(315_360_000_000);
});

test("refuses with Go's words", () => {
  const refusals: [string, string][] = [
    ["x", 'time: invalid duration "x"'],
    ["", 'time: invalid duration ""'],
    ["10", 'time: missing unit in duration "10"'],
    ["3d", 'time: unknown unit "d" in duration "3d"'],
    [".s", 'time: invalid duration ".s"'],
    ["99999999h", 'time: invalid duration "99999999h"'],
    ["1 s", 'time: unknown unit " s" in duration "1 s"'],
  ];
  for (const [text, message] of refusals) expect(() => parseDuration(text)).toThrow(message);
});

test("prints as Go prints", () => {
  expect(formatDurationMs(3_600_000)).toBe("1h0m0s");
  expect(formatDurationMs(10)).toBe("10ms");
  expect(formatDurationMs(1500)).toBe("1.5s");
  expect(formatDuration(1500n)).toBe("1.5µs");
  expect(formatDuration(-999n)).toBe("-999ns");
  expect(formatDuration(0n)).toBe("0s");
});

test("what is printed reads back the same", () => {
  fc.assert(
    fc.property(fc.bigInt({ min: -(2n ** 62n), max: 2n ** 62n }), (ns) => {
      expect(parseDuration(formatDuration(ns))).toBe(ns);
    }),
  );
});
