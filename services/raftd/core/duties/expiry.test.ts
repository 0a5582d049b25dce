import { expect, test } from "bun:test";
import { Expiry } from "./expiry.ts";
import type { ExpiryInput } from "./expiry.ts";

/** Runs the machine on virtual time and tells which sessions it ended, and when. */
class Run {
  readonly ended: string[] = [];
  readonly #machine = new Expiry();
  #nowMs = 0;
  #timer: { token: number; atMs: number } | undefined;

  give(input: ExpiryInput): void {
    for (const effect of this.#machine.step(input, this.#nowMs)) {
      if (effect.kind === "destroy") this.ended.push(`${effect.id} at ${this.#nowMs}`);
      else this.#timer = { token: effect.token, atMs: this.#nowMs + effect.afterMs };
    }
  }

  until(nowMs: number): void {
    while (this.#timer !== undefined && this.#timer.atMs <= nowMs) {
      const { token, atMs } = this.#timer;
      this.#timer = undefined;
      this.#nowMs = atMs;
      this.give({ kind: "timer-fired", token });
    }
    this.#nowMs = nowMs;
  }

  /** Nothing runs for a while, then the timer fires late. */
  pause(forMs: number): void {
    const { token } = this.#timer!;
    this.#nowMs += forMs;
    this.give({ kind: "timer-fired", token });
  }
}

const a = { id: "a", ttl: "10s" };

test("a session ends at twice its TTL, and one without TTL never", () => {
  const run = new Run();
  run.give({ kind: "led", sessions: [] });
  run.give({ kind: "created", session: a });
  run.give({ kind: "created", session: { id: "b", ttl: "" } });
  run.give({ kind: "created", session: { id: "c", ttl: "0s" } });
  run.until(19_999);
  expect(run.ended).toEqual([]);
  run.until(29_000);
  expect(run.ended).toEqual(["a at 20000"]);
});

test("a renewal begins the time anew, a destroyed session is forgotten", () => {
  const run = new Run();
  run.give({ kind: "led", sessions: [a, { id: "b", ttl: "10s" }] });
  run.until(15_000);
  run.give({ kind: "renewed", id: "a" });
  run.give({ kind: "destroyed", id: "b" });
  run.until(34_900);
  expect(run.ended).toEqual([]);
  run.until(35_000);
  expect(run.ended).toEqual(["a at 35000"]);
});

test("an end that did not happen is proposed again, ever more slowly, and a renewal is too late", () => {
  const run = new Run();
  run.give({ kind: "led", sessions: [a] });
  run.until(20_000);
  run.give({ kind: "renewed", id: "a" });
  run.until(60_000);
  expect(run.ended).toEqual(["a at 20000", "a at 30000", "a at 50000"]);
  run.give({ kind: "destroyed", id: "a" });
  run.until(200_000);
  expect(run.ended).toHaveLength(3);
});

test("a new leader grants one fresh TTL, a deposed one ends nothing", () => {
  const run = new Run();
  run.give({ kind: "led", sessions: [a] });
  run.until(19_000);
  run.give({ kind: "deposed" });
  run.until(60_000);
  run.give({ kind: "led", sessions: [a] });
  run.until(79_900);
  expect(run.ended).toEqual([]);
  run.until(80_000);
  expect(run.ended).toEqual(["a at 80000"]);
});

test("a pause moves all ends by its length, so that renewals that waited are heard first", () => {
  const run = new Run();
  run.give({ kind: "led", sessions: [a] });
  run.until(19_000);
  run.pause(30_250);
  expect(run.ended).toEqual([]);
  run.give({ kind: "renewed", id: "a" });
  run.until(69_000);
  expect(run.ended).toEqual([]);
  run.until(69_500);
  expect(run.ended).toEqual(["a at 69250"]);
});

test("a timer of an older leadership is ignored", () => {
  const machine = new Expiry();
  const [first] = machine.step({ kind: "led", sessions: [a] }, 0);
  machine.step({ kind: "led", sessions: [a] }, 0);
  const token = first!.kind === "set-timer" ? first!.token : 0;
  expect(machine.step({ kind: "timer-fired", token }, 30_000)).toEqual([]);
});
