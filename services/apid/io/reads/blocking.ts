// Blocking reads: waits until the answer's index passes the caller's, or its time is up. Equal
// reads wait on one entry: one watch, one read and one body for all of them (spec: http-api 2).

import type { Answer } from "../../core/answer.ts";
import type { ReadOptions } from "../../core/params.ts";
import { entryAnswer, type ReadEntry, withReadHeaders } from "./entry.ts";
import type { Evaluation, ReadPlan } from "./plan.ts";
import { asReadFailure, type Reads } from "./reads.ts";

export interface Abortable {
  isAborted: boolean;
  onAbort(listener: () => void): void;
}

/** How long a failed read is left alone before it is tried again. */
const retryMs = 250;

export async function serveBlocking(
  reads: Reads,
  plan: ReadPlan,
  options: ReadOptions,
  waitMs: number,
  caller: Abortable,
): Promise<Answer> {
  const isStreaming = plan.isStreamable === true;
  const entry = reads.entryOf(plan, options, true);
  try {
    const evaluation = entry === undefined
      ? await pollUntil(reads, plan, options, waitMs, caller)
      : await waitOn(reads, entry, options, waitMs, caller);
    if (entry !== undefined && !options.isCached) {
      return entryAnswer(entry, evaluation, {
        mode: options.mode,
        contact: evaluation,
        isStreaming,
      });
    }
    const cache = options.isCached ? "X-Cache: MISS\r\n" : "";
    return withReadHeaders(plan, evaluation, options.mode, isStreaming, cache);
  } catch (error) {
    throw asReadFailure(plan, error);
  }
}

/** What a wait has come to: an evaluation that answers it, or nothing yet. */
class Progress {
  #index: number;
  #sawNotFound = false;
  #generation: number | undefined;
  readonly #isSingle: boolean;

  constructor(index: number, isSingle: boolean) {
    this.#index = index;
    this.#isSingle = isSingle;
  }

  isAnswered(evaluation: Evaluation): boolean {
    const isRestored = this.#generation !== undefined && this.#generation !== evaluation.generation;
    this.#generation = evaluation.generation;
    if (isRestored) return true;
    if (this.#isSingle && evaluation.isNotFound) {
      // Still not there: what other writes did to the index is no news.
      if (this.#sawNotFound) this.#index = Math.max(this.#index, evaluation.index);
      this.#sawNotFound = true;
    }
    return Math.max(1, evaluation.index) > this.#index;
  }
}

async function waitOn(
  reads: Reads,
  entry: ReadEntry,
  options: ReadOptions,
  waitMs: number,
  caller: Abortable,
): Promise<Evaluation> {
  const deadlineMs = performance.now() + waitMs;
  const progress = new Progress(options.index, entry.plan.isSingle === true);
  const sleeper = new Sleeper(entry);
  caller.onAbort(() => sleeper.wake());
  reads.counts.blocked++;
  try {
    let evaluation = await reads.evaluateEntry(entry, options.mode, options);
    for (;;) {
      if (caller.isAborted || progress.isAnswered(evaluation)) return evaluation;
      // What changed since the evaluation was told before we began to sleep.
      const isNews = !entry.isTrue || entry.evaluation !== evaluation;
      if (!isNews && !await sleeper.sleep(deadlineMs)) return evaluation;
      if (caller.isAborted) return evaluation;
      const next = await reAsk(reads, entry, options, sleeper, deadlineMs);
      if (next === undefined) return evaluation;
      evaluation = next;
    }
  } finally {
    sleeper.close();
    reads.counts.blocked--;
  }
}

/** The new evaluation, or undefined when the time is up. A server that has no leader for a moment
 *  does not end the wait. */
async function reAsk(
  reads: Reads,
  entry: ReadEntry,
  options: ReadOptions,
  sleeper: Sleeper,
  deadlineMs: number,
): Promise<Evaluation | undefined> {
  while (performance.now() < deadlineMs) {
    if (entry.isTrue) return entry.evaluation;
    try {
      const evaluation = await reads.renew(entry, options.mode, options);
      // Nobody would tell of the next change: ask again, but not at once.
      if (entry.watchId === 0) await sleeper.pause(performance.now() + retryMs);
      return evaluation;
    } catch {
      await sleeper.pause(Math.min(deadlineMs, performance.now() + retryMs));
    }
  }
  return undefined;
}

/** Sleeps until the entry changes or a moment comes. */
class Sleeper {
  readonly #entry: ReadEntry;
  readonly #woken = () => this.wake();
  #resolve: ((isWoken: boolean) => void) | undefined;
  #timer: ReturnType<typeof setTimeout> | undefined;

  constructor(entry: ReadEntry) {
    this.#entry = entry;
    entry.waiters.add(this.#woken);
  }

  /** False: the moment came first. */
  sleep(untilMs: number): Promise<boolean> {
    const leftMs = untilMs - performance.now();
    if (leftMs <= 0) return Promise.resolve(false);
    return new Promise((resolve) => {
      this.#resolve = resolve;
      this.#timer = setTimeout(() => this.#end(false), leftMs);
    });
  }

  /** Sleeps until the moment, whatever changes. */
  async pause(untilMs: number): Promise<void> {
    await Bun.sleep(Math.max(0, untilMs - performance.now()));
  }

  wake(): void {
    this.#end(true);
  }

  #end(isWoken: boolean): void {
    clearTimeout(this.#timer);
    const resolve = this.#resolve;
    this.#resolve = undefined;
    resolve?.(isWoken);
  }

  close(): void {
    this.#entry.waiters.delete(this.#woken);
    this.#end(true);
  }
}

const pollFirstMs = 100;
const pollMostMs = 1_000;

/** For reads that cannot be watched from here (another datacenter, sorted by distance): asks again
 *  and again, at a growing distance. */
async function pollUntil(
  reads: Reads,
  plan: ReadPlan,
  options: ReadOptions,
  waitMs: number,
  caller: Abortable,
): Promise<Evaluation> {
  const deadlineMs = performance.now() + waitMs;
  const progress = new Progress(options.index, plan.isSingle === true);
  let pauseMs = pollFirstMs;
  for (;;) {
    const evaluation = await reads.ask(plan, options.mode, options);
    const leftMs = deadlineMs - performance.now();
    if (progress.isAnswered(evaluation) || leftMs <= 0 || caller.isAborted) return evaluation;
    await Bun.sleep(Math.min(pauseMs, leftMs));
    pauseMs = Math.min(pollMostMs, pauseMs * 1.5);
  }
}
