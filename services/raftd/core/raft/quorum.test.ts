import { expect, test } from "bun:test";
import { countVotes, majorityValue } from "./quorum.ts";

test.each([
  [[], 0],
  [[7], 7],
  [[7, 3], 3],
  [[1, 9, 5], 5],
  [[1, 2, 3, 4], 2],
  [[5, 1, 4, 2, 3], 3],
])("a majority of %j has reached %d", (values: number[], reached: number) => {
  expect(majorityValue([...values])).toBe(reached);
});

test("for every set of values, a majority is at or above the result and none is above more", () => {
  for (let n = 1; n <= 5; n++) {
    for (let code = 0; code < 4 ** n; code++) {
      const values = Array.from({ length: n }, (_, i) => Math.floor(code / 4 ** i) % 4);
      const reached = majorityValue([...values]);
      const needed = Math.floor(n / 2) + 1;
      expect(values.filter((v) => v >= reached).length).toBeGreaterThanOrEqual(needed);
      expect(values.filter((v) => v > reached).length).toBeLessThan(needed);
    }
  }
});

test("votes of servers that are no voters do not count, and a majority decides early", () => {
  const voters = ["a", "b", "c"];
  const outcome = (votes: Record<string, boolean>) =>
    countVotes(voters, new Map(Object.entries(votes)));
  expect(outcome({ a: true, x: true, y: true })).toBe("open");
  expect(outcome({ a: true, b: true })).toBe("won");
  expect(outcome({ a: true, b: false })).toBe("open");
  expect(outcome({ b: false, c: false })).toBe("lost");
});
