import { expect, test } from "bun:test";
import { WriteTurns } from "./write-turns.ts";

function recorder() {
  const done: string[] = [];
  const write = (name: string) => () => {
    done.push(name);
    return Promise.resolve();
  };
  return { done, write };
}

test("a write waits for the push before it, and goes when that failed too", async () => {
  const turns = new WriteTurns();
  const { done, write } = recorder();
  const push = Promise.withResolvers<void>();
  turns.pushing(push.promise.then(() => void done.push("push")));
  const written = turns.write(write("write"));
  expect(done).toEqual([]);
  push.resolve();
  await written;
  expect(done).toEqual(["push", "write"]);
  turns.pushing(Promise.reject(new Error("away")));
  await turns.write(write("after a failure"));
  expect(done.at(-1)).toBe("after a failure");
});

test("a push that is not answered holds no write up for good", async () => {
  const turns = new WriteTurns();
  const { done, write } = recorder();
  turns.pushing(new Promise(() => {}));
  await turns.write(write("write"));
  expect(done).toEqual(["write"]);
});

test("writes keep their order across pushes", async () => {
  const turns = new WriteTurns();
  const { done, write } = recorder();
  const slow = Promise.withResolvers<void>();
  turns.pushing(slow.promise);
  const first = turns.write(write("save"));
  turns.pushing(Promise.resolve());
  const second = turns.write(write("forget"));
  slow.resolve();
  await Promise.all([first, second]);
  expect(done).toEqual(["save", "forget"]);
});

test("a write that fails is told to who asked for it, and the next one goes on", async () => {
  const turns = new WriteTurns();
  const { done, write } = recorder();
  const failed = turns.write(() => Promise.reject(new Error("disk full")));
  const next = turns.write(write("next"));
  expect(failed).rejects.toThrow("disk full");
  await next;
  expect(done).toEqual(["next"]);
});
