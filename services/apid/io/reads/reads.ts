// Answers reads: from bytes kept and confirmed, or by asking the state (docs: design 3, Reads).

import { type QueryInput, type ReadReply, ReadRequest } from "#proto/messages.js";
import { State } from "#proto/services.ts";
import type { BusClient } from "#shared/bus/client.ts";
import type { Method } from "#shared/bus/types.ts";
import { type Answer, failedReadHeaders } from "../../core/answer.ts";
import { HttpError, toRefusal } from "../../core/http-error.ts";
import type { ReadMode, ReadOptions } from "../../core/params.ts";
import { type ReadEntry, withReadHeaders } from "./entry.ts";
import type { Evaluation, ReadPlan } from "./plan.ts";
import { ReadCache } from "./read-cache.ts";
import { largeBytes } from "../zip.ts";
import { contactAgeMaxMs, WatchHub } from "./watch-hub.ts";

export interface ReadsOptions {
  client: BusClient;
  bytesMax: number;
  callTimeoutMs: number;
}

export interface ReadCounts {
  /** Served from bytes kept, after a confirmation or none. */
  hits: number;
  /** Asked of the state. */
  misses: number;
  /** Kept bytes that had to be read again. */
  refreshes: number;
  blocked: number;
}

const againWithinMs = 30_000;

export class Reads {
  readonly hub: WatchHub;
  readonly cache: ReadCache;
  readonly counts: ReadCounts = { hits: 0, misses: 0, refreshes: 0, blocked: 0 };
  readonly #options: ReadsOptions;
  readonly #refreshes = new Map<ReadEntry, Refresh>();

  constructor(options: ReadsOptions) {
    this.#options = options;
    this.hub = new WatchHub(options.client);
    this.cache = new ReadCache({
      bytesMax: options.bytesMax,
      againWithinMs,
      evicted: (entry) => {
        if (entry.watchId !== 0) this.hub.unwatch(entry.watchId);
        entry.watchId = 0;
      },
    });
  }

  start(): void {
    this.hub.start();
  }

  close(): void {
    this.hub.close();
  }

  /** A read that does not block. */
  async serve(plan: ReadPlan, options: ReadOptions): Promise<Answer> {
    try {
      if (options.isCached) return await this.#serveCached(plan, options);
      let evaluation = await this.evaluate(plan, options.mode, options);
      const { mode, staleMaxMs } = options;
      const isBounded = mode === "stale" && staleMaxMs > 0;
      if (isBounded && evaluation.lastContactMs + contactAgeMaxMs > staleMaxMs) {
        // What was kept tells the contact of a while ago: near the bound only the truth will do.
        evaluation = await this.ask(plan, mode, options);
      }
      const isTooOld = isBounded && evaluation.lastContactMs > staleMaxMs;
      if (!isTooOld) return withReadHeaders(plan, evaluation, mode, false);
      const fresh = await this.evaluate(plan, "default", options);
      return withReadHeaders(plan, fresh, "default", false);
    } catch (error) {
      throw asReadFailure(plan, error);
    }
  }

  /** The present answer, in the mode asked for. */
  async evaluate(plan: ReadPlan, mode: ReadMode, options: ReadOptions): Promise<Evaluation> {
    const entry = this.entryOf(plan, options);
    if (entry === undefined) {
      this.counts.misses++;
      return await this.ask(plan, mode, options);
    }
    return await this.evaluateEntry(entry, mode, options);
  }

  async evaluateEntry(
    entry: ReadEntry,
    mode: ReadMode,
    options: ReadOptions,
  ): Promise<Evaluation> {
    const isProven = entry.isTrue && await this.#prove(mode);
    if (isProven && entry.isTrue) {
      this.counts.hits++;
      if (mode !== "stale") return entry.evaluation!;
      const contact = this.hub.contact(performance.now());
      return { ...entry.evaluation!, ...contact };
    }
    return await this.refresh(entry, mode, options);
  }

  #prove(mode: ReadMode): Promise<boolean> | boolean {
    if (mode === "stale") return this.hub.contact(performance.now()) !== undefined;
    if (!this.hub.isDirect) return false;
    return new Promise((resolve) => this.hub.confirm(mode, resolve));
  }

  /** The kept entry of a read, made when the read is worth keeping; undefined: not kept. */
  entryOf(plan: ReadPlan, options: ReadOptions, isForced = false): ReadEntry | undefined {
    if (options.datacenter !== "" || plan.also !== undefined || options.token !== "") {
      return undefined;
    }
    const nowMs = performance.now();
    const found = this.cache.find(plan.key, nowMs);
    if (found !== undefined) return found;
    if (!isForced && !this.cache.isWorthKeeping(plan.key, nowMs)) return undefined;
    return this.cache.add(plan, nowMs);
  }

  /** Reads anew. Reads that come while one is under way share the next, which begins after them. */
  refresh(entry: ReadEntry, mode: ReadMode, options: ReadOptions): Promise<Evaluation> {
    const running = this.#refreshes.get(entry);
    if (running === undefined) return this.#begin(entry, mode, options);
    if (running.next !== undefined && covers(running.next.mode, mode)) return running.next.promise;
    if (running.next !== undefined) return this.#askFor(entry, mode, options);
    const promise = running.promise.catch(() => {}).then(() => this.#begin(entry, mode, options));
    running.next = { mode, promise };
    return promise;
  }

  /** Reads anew for one that waited: a read under way will do when it began after the change. */
  renew(entry: ReadEntry, mode: ReadMode, options: ReadOptions): Promise<Evaluation> {
    const running = this.#refreshes.get(entry);
    const isEnough = running !== undefined && covers(running.mode, mode) &&
      running.changedIndex === entry.changedIndex && running.watchId === entry.watchId;
    return isEnough ? running.promise : this.refresh(entry, mode, options);
  }

  #begin(entry: ReadEntry, mode: ReadMode, options: ReadOptions): Promise<Evaluation> {
    const { changedIndex, watchId } = entry;
    const promise = this.#askFor(entry, mode, options);
    const refresh: Refresh = { promise, mode, changedIndex, watchId };
    this.#refreshes.set(entry, refresh);
    const done = () => {
      if (this.#refreshes.get(entry) === refresh) this.#refreshes.delete(entry);
    };
    promise.then(done, done);
    return promise;
  }

  async #askFor(entry: ReadEntry, mode: ReadMode, options: ReadOptions): Promise<Evaluation> {
    this.counts.refreshes++;
    await this.#ensureWatched(entry);
    const { watchId } = entry;
    const evaluation = await this.ask(entry.plan, mode, options, entry.evaluation);
    if (watchId !== 0 && entry.watchId === watchId) {
      entry.store(evaluation, performance.now());
      this.cache.weigh(entry);
    }
    return evaluation;
  }

  async #ensureWatched(entry: ReadEntry): Promise<void> {
    if (entry.watchId !== 0 || entry.isEvicted) return;
    entry.changedIndex = 0;
    const id = await this.hub.watch(entry.plan.query, entry);
    if (id === undefined) return;
    if (entry.isEvicted || entry.watchId !== 0) this.hub.unwatch(id);
    else entry.watchId = id;
  }

  /** One State.Read, rendered. `known`: an answer made before; it is used again when it still is of
   *  the same index. */
  async ask(
    plan: ReadPlan,
    mode: ReadMode,
    options: ReadOptions,
    known?: Evaluation,
  ): Promise<Evaluation> {
    const knownIndex = known === undefined || known.isNotFound ? 0 : known.index;
    const [reply, also] = await Promise.all([
      this.#read(plan.query, mode, options, plan.also === undefined ? knownIndex : 0, plan.method),
      plan.also === undefined ? undefined : this.#read(plan.also, mode, options, 0),
    ]);
    const meta = reply.meta;
    if (meta === null) throw new HttpError(500, "No cluster leader");
    const isSame = reply.unchanged && known !== undefined && known.generation === meta.generation;
    const whole = reply.unchanged && !isSame
      ? await this.#read(plan.query, mode, options, 0, plan.method)
      : reply;
    return {
      answer: isSame ? known.answer : packed(plan.render(whole, also)),
      index: meta.index,
      isNotFound: meta.notFound,
      knownLeader: meta.knownLeader,
      lastContactMs: meta.lastContactMs,
      generation: meta.generation,
      appliedIndex: meta.appliedIndex,
    };
  }

  #read(
    query: QueryInput,
    mode: ReadMode,
    options: ReadOptions,
    knownIndex: number,
    method?: Method,
  ): Promise<ReadReply> {
    const { client, callTimeoutMs: timeoutMs } = this.#options;
    const context = { token: options.token, datacenter: options.datacenter, consistency: mode };
    if (method === undefined) {
      return client.of(State).read({ query, knownIndex }, { ...context, timeoutMs });
    }
    const request = ReadRequest.create({ query, knownIndex });
    return new Promise((resolve, reject) => {
      const answered = (reply: unknown) => resolve(reply as ReadReply);
      const deadlineMs = performance.now() + timeoutMs;
      client.unaryCall(method, request, context, deadlineMs, answered, reject);
    });
  }

  async #serveCached(plan: ReadPlan, options: ReadOptions): Promise<Answer> {
    const entry = this.entryOf(plan, options, true);
    const isStreaming = plan.isStreamable === true;
    if (entry === undefined) {
      const evaluation = await this.ask(plan, options.mode, options);
      return withReadHeaders(plan, evaluation, options.mode, isStreaming, "X-Cache: MISS\r\n");
    }
    const isHit = entry.isCacheFilled && entry.isTrue;
    if (!isHit) await this.refresh(entry, options.mode, options);
    entry.isCacheFilled = true;
    const ageSeconds = Math.floor((performance.now() - entry.fetchedAtMs) / 1000);
    const cache = isHit ? `X-Cache: HIT\r\nAge: ${ageSeconds}\r\n` : "X-Cache: MISS\r\n";
    const evaluation = entry.evaluation ?? await this.ask(plan, options.mode, options);
    return withReadHeaders(plan, evaluation, options.mode, isStreaming, cache);
  }
}

/** Large bodies are kept as bytes: they are sent as they are, and compressed once. */
function packed(answer: Answer): Answer {
  const { body } = answer;
  if (typeof body !== "string" || body.length < largeBytes) return answer;
  return { ...answer, body: Buffer.from(body) };
}

interface Refresh {
  promise: Promise<Evaluation>;
  mode: ReadMode;
  /** What was known of the entry when it began. */
  changedIndex: number;
  watchId: number;
  next?: { mode: ReadMode; promise: Promise<Evaluation> };
}

const strength: Record<ReadMode, number> = { stale: 0, default: 1, consistent: 2 };

function covers(have: ReadMode, wanted: ReadMode): boolean {
  return strength[have] >= strength[wanted];
}

export function asReadFailure(plan: ReadPlan, error: unknown): unknown {
  if (plan.failsWithHeaders !== true) return error;
  const { status, text } = toRefusal(error);
  return new HttpError(status, text, failedReadHeaders);
}
