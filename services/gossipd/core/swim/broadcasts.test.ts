import { expect, test } from "bun:test";
import { retransmitLimit, TransmitQueue } from "./broadcasts.ts";

const bytes = (length: number, fill = 0) => new Uint8Array(length).fill(fill);
const take = (queue: TransmitQueue, room: number, limit = 3, finished: string[] = []) =>
  queue.take(2, room, limit, finished).map((message) => message.length);

test("a rumour is told by the logarithm of the pool", () => {
  expect([0, 1, 9, 10, 99, 100, 999].map((n) => retransmitLimit(4, n))).toEqual(
    [0, 4, 4, 8, 8, 12, 12],
  );
});

test("the longest that fits goes first, then what fits beside it", () => {
  const queue = new TransmitQueue();
  for (const length of [10, 50, 30]) queue.add({ message: bytes(length) });
  expect(take(queue, 45)).toEqual([30, 10]);
  expect(take(queue, 90)).toEqual([50, 30]);
});

test("what was told least goes before what was told more", () => {
  const queue = new TransmitQueue();
  queue.add({ message: bytes(20) });
  expect(take(queue, 100)).toEqual([20]);
  queue.add({ message: bytes(5) });
  expect(take(queue, 22)).toEqual([5]);
  expect(take(queue, 100)).toEqual([20, 5]);
});

test("each message is told as often as the limit says, and its end is reported", () => {
  const queue = new TransmitQueue();
  const finished: string[] = [];
  queue.add({ message: bytes(5), notify: "done" });
  expect(take(queue, 100, 3, finished)).toEqual([5]);
  expect(take(queue, 100, 3, finished)).toEqual([5]);
  expect(finished).toEqual([]);
  expect(take(queue, 100, 3, finished)).toEqual([5]);
  expect([finished, queue.length]).toEqual([["done"], 0]);
});

test("newer news of a name replaces older, also when that was told already", () => {
  const queue = new TransmitQueue();
  queue.add({ name: "a", message: bytes(5), notify: "old" });
  take(queue, 100);
  expect(queue.add({ name: "a", message: bytes(6) })).toBe("old");
  expect([queue.length, take(queue, 100)]).toEqual([1, [6]]);
});

test("pruning drops the most told", () => {
  const queue = new TransmitQueue();
  queue.add({ message: bytes(5) });
  take(queue, 100);
  queue.add({ message: bytes(6) });
  queue.add({ message: bytes(7) });
  queue.prune(2, []);
  expect(take(queue, 100)).toEqual([7, 6]);
});
