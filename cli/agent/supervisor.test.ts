import { expect, test } from "bun:test";
import { Supervisor } from "./supervisor.ts";
import type { Supervised } from "./supervisor.ts";

function shell(name: string, script: string, instance = 1): Supervised {
  return { name, instance, command: { file: "/bin/sh", args: ["-c", script] } };
}

/** Collects what a supervisor tells, and wakes who waits for a certain text. */
class Told {
  readonly texts: string[] = [];
  #waiting: { text: string; count: number; resolve(): void }[] = [];

  tell(text: string): void {
    this.texts.push(text);
    this.#waiting = this.#waiting.filter(({ text: wanted, count, resolve }) => {
      if (this.#count(wanted) < count) return true;
      resolve();
      return false;
    });
  }

  /** Until the text was told so many times. */
  until(text: string, count = 1): Promise<void> {
    if (this.#count(text) >= count) return Promise.resolve();
    return new Promise((resolve) => this.#waiting.push({ text, count, resolve }));
  }

  #count(text: string): number {
    return this.texts.filter((told) => told === text).length;
  }
}

function supervise(...supervised: Supervised[]): { told: Told; supervisor: Supervisor } {
  const told = new Told();
  const supervisor = new Supervisor(supervised, {
    line: (daemon, line) => told.tell(`${daemon}: ${line}`),
    log: (level, message, fields) => told.tell(`${level} ${message} ${fields?.["daemon"] ?? ""}`),
    gaveUp: (daemon) => told.tell(`gave up ${daemon}`),
  });
  supervisor.start();
  return { told, supervisor };
}

test("a daemon that dies is started again, and its last words are kept", async () => {
  const { told, supervisor } = supervise(shell("a", "echo hello; echo oops >&2; exit 3"));
  await told.until("a: hello", 3);
  const [status] = supervisor.status();
  expect(status!.restartCount).toBeGreaterThanOrEqual(2);
  expect(status!.lines).toContain("oops");
  expect(told.texts).toContain("error Daemon ended, starting it again a");
  await supervisor.stop();
});

test("daemons stop in the reverse of their order", async () => {
  const script = (name: string) =>
    `trap 'echo bye; exit 0' TERM; echo ${name}; while :; do sleep 0.02; done`;
  const { told, supervisor } = supervise(
    shell("a", script("up")),
    shell("b", script("up"), 1),
    shell("b", script("up"), 2),
  );
  await Promise.all([told.until("a: up"), told.until("b: up"), told.until("b.2: up")]);
  await supervisor.stop();
  expect(told.texts.filter((text) => text.endsWith("bye"))).toEqual([
    "b.2: bye",
    "b: bye",
    "a: bye",
  ]);
  expect(supervisor.status().every(({ pid }) => pid === undefined)).toBe(true);
});

test("a killed daemon comes back with another process id", async () => {
  const { told, supervisor } = supervise(shell("a", "echo up; exec sleep 60"));
  await told.until("a: up");
  const pid = supervisor.status()[0]!.pid!;
  process.kill(pid, "SIGKILL");
  await told.until("a: up", 2);
  expect(supervisor.status()[0]!.pid).not.toBe(pid);
  supervisor.kill();
});

test("a daemon that cannot work with its configuration is not tried again", async () => {
  const { told, supervisor } = supervise(shell("a", "echo bad key; exit 78"));
  await told.until("gave up a");
  expect(told.texts.filter((text) => text === "a: bad key")).toHaveLength(1);
  await supervisor.stop();
});

test("a program that does not exist is told, not thrown", async () => {
  const { told, supervisor } = supervise({
    name: "a",
    instance: 1,
    command: { file: "/nonexistent/program", args: [] },
  });
  await told.until("error Daemon ended, starting it again a");
  expect(told.texts.some((text) => text.includes("cannot start"))).toBe(true);
  await supervisor.stop();
});
