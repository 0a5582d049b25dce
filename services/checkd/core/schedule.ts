// What runs when: polled checks one run at a time, TTL expiry, and remote aliases. Results pass the
// thresholds here (Consul's check runners).

import type { CheckDefinition } from "#shared/config/definitions.ts";
import type { Machine } from "#shared/machine.ts";
import type { Random } from "#shared/random.ts";
import { type CheckKind, intervalOf, kindOf, outputSizeOf } from "./check-rules.ts";
import { StatusCounter } from "./status.ts";
import { cutNote, expiredOutput } from "./ttl.ts";

export type ScheduleInput =
  /** Also replaces what runs under that id. */
  | { kind: "check-added"; checkId: string; definition: CheckDefinition }
  | { kind: "check-removed"; checkId: string }
  /** A run may tell its result before it ends; then the end brings none. */
  | { kind: "probed"; checkId: string; run: number; result: ProbeResult | null; isLast: boolean }
  | { kind: "noted"; checkId: string; status: string; note: string }
  | { kind: "timer-fired"; timer: string };

export interface ProbeResult {
  status: string;
  output: string;
  /** The thresholds do not apply (a script that could not start or was killed). */
  isFinal: boolean;
}

export type ScheduleEffect =
  | { kind: "probe"; checkId: string; run: number; definition: CheckDefinition }
  | { kind: "abort-probe"; checkId: string }
  | { kind: "result"; checkId: string; status: string; output: string }
  | { kind: "set-timer"; timer: string; afterMs: number }
  | { kind: "clear-timer"; timer: string };

/** How often an alias of another node looks, and how long it waits at most when that fails. */
const aliasPaceMs = 2_000;
const aliasBackoffMaxMs = 60_000;

interface Polled {
  kind: Exclude<CheckKind, "ttl">;
  definition: CheckDefinition;
  counter: StatusCounter;
  /** The number of the run in progress or next; a result of another run is old. */
  run: number;
  failures: number;
}

interface Ttl {
  definition: CheckDefinition;
  lastNote: string;
}

export class Schedule implements Machine<ScheduleInput, ScheduleEffect> {
  readonly #outputSizeMax: number;
  readonly #random: Random;
  readonly #polled = new Map<string, Polled>();
  readonly #ttls = new Map<string, Ttl>();
  #runs = 0;

  constructor(settings: { outputSizeMax: number }, random: Random) {
    this.#outputSizeMax = settings.outputSizeMax;
    this.#random = random;
  }

  isTtl(checkId: string): boolean {
    return this.#ttls.has(checkId);
  }

  step(input: ScheduleInput, _nowMs: number): ScheduleEffect[] {
    switch (input.kind) {
      case "check-added":
        return this.#add(input.checkId, input.definition);
      case "check-removed":
        return this.#remove(input.checkId);
      case "probed":
        return this.#probed(input.checkId, input.run, input.result, input.isLast);
      case "noted":
        return this.#noted(input.checkId, input.status, input.note);
      case "timer-fired":
        return this.#timerFired(input.timer);
      default:
        return input satisfies never;
    }
  }

  #add(checkId: string, definition: CheckDefinition): ScheduleEffect[] {
    const effects = this.#remove(checkId);
    const kind = kindOf(definition);
    if (kind === undefined) return effects;
    if (kind === "ttl") {
      this.#ttls.set(checkId, { definition, lastNote: "" });
      return [...effects, timer("expire", checkId, definition.ttlMs)];
    }
    // An alias of this node follows local changes and needs no runs.
    if (kind === "alias" && definition.aliasNode === "") return effects;
    const counter = new StatusCounter(definition);
    this.#polled.set(checkId, { kind, definition, counter, run: ++this.#runs, failures: 0 });
    const firstMs = kind === "alias" ? 0 : this.#random.between(0, intervalOf(definition));
    return [...effects, timer("run", checkId, firstMs)];
  }

  #remove(checkId: string): ScheduleEffect[] {
    if (this.#ttls.delete(checkId)) return [{ kind: "clear-timer", timer: `expire:${checkId}` }];
    if (!this.#polled.delete(checkId)) return [];
    return [{ kind: "clear-timer", timer: `run:${checkId}` }, { kind: "abort-probe", checkId }];
  }

  #timerFired(name: string): ScheduleEffect[] {
    const colon = name.indexOf(":");
    const checkId = name.slice(colon + 1);
    if (name.slice(0, colon) === "run") {
      const check = this.#polled.get(checkId);
      if (check === undefined) return [];
      return [{ kind: "probe", checkId, run: check.run, definition: check.definition }];
    }
    const check = this.#ttls.get(checkId);
    if (check === undefined) return [];
    const output = expiredOutput(check.lastNote);
    return [{ kind: "result", checkId, status: "critical", output }];
  }

  #noted(checkId: string, status: string, note: string): ScheduleEffect[] {
    const check = this.#ttls.get(checkId);
    if (check === undefined) return [];
    check.lastNote = cutNote(note, outputSizeOf(check.definition, this.#outputSizeMax));
    return [
      { kind: "result", checkId, status, output: check.lastNote },
      timer("expire", checkId, check.definition.ttlMs),
    ];
  }

  #probed(
    checkId: string,
    run: number,
    result: ProbeResult | null,
    isLast: boolean,
  ): ScheduleEffect[] {
    const check = this.#polled.get(checkId);
    if (check === undefined || check.run !== run) return [];
    const effects: ScheduleEffect[] = [];
    const shown = result === null ? undefined : this.#judge(check, result);
    if (result !== null && shown !== undefined) {
      effects.push({ kind: "result", checkId, status: shown, output: result.output });
    }
    if (!isLast) return effects;
    check.run = ++this.#runs;
    return [...effects, timer("run", checkId, paceOf(check))];
  }

  #judge(check: Polled, result: ProbeResult): string | undefined {
    if (check.kind !== "alias") {
      return result.isFinal ? result.status : check.counter.judge(result.status);
    }
    // For an alias `isFinal` says that the other node's checks were read.
    check.failures = result.isFinal ? 0 : check.failures + 1;
    return result.isFinal || check.failures >= 2 ? result.status : undefined;
  }
}

function paceOf(check: Polled): number {
  if (check.kind !== "alias") return intervalOf(check.definition);
  return Math.min(aliasPaceMs * 2 ** Math.min(check.failures, 10), aliasBackoffMaxMs);
}

function timer(kind: "run" | "expire", checkId: string, afterMs: number): ScheduleEffect {
  return { kind: "set-timer", timer: `${kind}:${checkId}`, afterMs };
}
