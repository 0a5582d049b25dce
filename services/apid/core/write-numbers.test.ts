import { expect, test } from "bun:test";
import { WriteNumbers } from "./write-numbers.ts";

function fresh() {
  let ids = 0;
  return new WriteNumbers(() => `client-${++ids}`);
}

test("the floor is the lowest number without an answer, once the state knows the client", () => {
  const numbers = fresh();
  const [one, two, three] = [numbers.begin(0), numbers.begin(0), numbers.begin(0)];
  expect([one, two, three].map(({ sequence, floor }) => [sequence, floor]))
    .toEqual([[1, 1], [2, 1], [3, 1]]);
  numbers.end(two, "outcome");
  expect(numbers.begin(0).floor).toBe(1);
  numbers.end(one, "outcome");
  expect(numbers.begin(0).floor).toBe(3);
});

test("writes that never reached the state do not raise the floor told to it", () => {
  const numbers = fresh();
  for (let i = 0; i < 3; i++) numbers.end(numbers.begin(0), "none");
  expect(numbers.begin(0)).toMatchObject({ sequence: 4, floor: 1 });
});

test("a client that was idle, or that was forgotten, becomes another", () => {
  const numbers = fresh();
  const first = numbers.begin(0);
  numbers.end(first, "outcome");
  const later = numbers.begin(40_000);
  expect(later.client).not.toBe(first.client);
  expect(later).toMatchObject({ sequence: 1, floor: 1 });
  numbers.end(later, "forgotten");
  expect(numbers.begin(40_001).client).not.toBe(later.client);
});

test("a long write keeps its client, however idle the rest is", () => {
  const numbers = fresh();
  const open = numbers.begin(0);
  expect(numbers.begin(90_000).client).toBe(open.client);
});
