import { expect, test } from "bun:test";
import { Tombstones } from "./tombstones.ts";

const minuteMs = 60_000;

/** What is reaped in each minute when the youngest tombstone moves as told. */
function run(highestAt: (minute: number) => number, minutes: number): string[] {
  const machine = new Tombstones();
  const reaped: string[] = [];
  let [effect] = machine.step({ kind: "led", highestIndex: highestAt(0) }, 0);
  for (let nowMs = minuteMs / 2; nowMs <= minutes * minuteMs; nowMs += minuteMs / 2) {
    const token = effect!.kind === "set-timer" ? effect!.token : 0;
    const highestIndex = highestAt(Math.floor(nowMs / minuteMs));
    const effects = machine.step({ kind: "timer-fired", token, highestIndex }, nowMs);
    for (const each of effects) {
      if (each.kind === "reap") reaped.push(`${each.throughIndex} at ${nowMs / minuteMs}`);
    }
    effect = effects.at(-1);
  }
  return reaped;
}

test("tombstones live fifteen minutes after the leader saw them", () => {
  expect(run((minute) => minute < 5 ? 0 : minute < 8 ? 70 : 90, 40)).toEqual([
    "70 at 20",
    "90 at 23",
  ]);
});

test("those that a new leader finds are as old as its leadership", () => {
  expect(run(() => 12, 40)).toEqual(["12 at 15"]);
});

test("who leads no more reaps nothing", () => {
  const machine = new Tombstones();
  const [effect] = machine.step({ kind: "led", highestIndex: 5 }, 0);
  machine.step({ kind: "deposed" }, 1);
  const token = effect!.kind === "set-timer" ? effect!.token : 0;
  expect(machine.step({ kind: "timer-fired", token, highestIndex: 5 }, 60 * minuteMs)).toEqual([]);
});
