// A copy of raftd's state that is kept current by State.Subscribe. It survives reconnects (it goes
// on after its position), and a resync keeps the old rows until the new ones are whole.

import type { Bookmark, ChangeBatch } from "#proto/messages.js";
import { State } from "#proto/services.ts";
import type { BusClient } from "./bus/client.ts";
import type { BusLog, InStream } from "./bus/types.ts";
import { type Clock, systemClock } from "./machine.ts";
import { newTouched, type ReadTables, Tables, type Touched } from "./view-tables.ts";

export { nodeKey, type ReadTables, type Touched } from "./view-tables.ts";

export interface ViewOptions {
  client: BusClient;
  /** As in SubscribeRequest: catalog, kv, sessions, coordinates, documents:<kind>. */
  topics: readonly string[];
  /** Only these services' instances; empty: all. */
  services?: readonly string[];
  token?: string;
  datacenter?: string;
  log: BusLog;
  clock?: Clock;
}

export interface ViewAges {
  /** How long ago the server that feeds the view heard from its leader. */
  leaderContactMs: number;
  knownLeader: boolean;
  /** How long the view has heard nothing; 0 while bookmarks come in time. */
  disconnectedMs: number;
}

/** Bookmarks come each second; so much silence means that the stream is dead. */
const silenceMs = 3_500;
const retryFirstMs = 20;
const retryMostMs = 1_000;

export class StateView {
  readonly #options: ViewOptions;
  readonly #clock: Clock;
  #tables = new Tables();
  /** The rows of a resync until they are whole. */
  #growing: Tables | undefined;
  #isComplete = false;
  #index = 0;
  #generation = 0;
  #knownLeader = false;
  #contactMs = 0;
  #heardMs: number;
  #stream: InStream<ChangeBatch> | undefined;
  #retryMs = retryFirstMs;
  #retry: ReturnType<typeof setTimeout> | undefined;
  #silence: ReturnType<typeof setInterval> | undefined;
  #isStopped = true;
  readonly #changeListeners = new Set<(touched: Touched) => void>();
  readonly #completeListeners = new Set<() => void>();

  constructor(options: ViewOptions) {
    this.#options = options;
    this.#clock = options.clock ?? systemClock;
    this.#heardMs = this.#clock.nowMs();
  }

  /** The rows as of `index`. The object changes when a resync is whole: do not keep it. */
  get tables(): ReadTables {
    return this.#tables;
  }

  /** False until the first whole view: an absent row then means nothing. */
  get isComplete(): boolean {
    return this.#isComplete;
  }

  get index(): number {
    return this.#index;
  }

  get generation(): number {
    return this.#generation;
  }

  ages(): ViewAges {
    const nowMs = this.#clock.nowMs();
    const silentMs = nowMs - this.#heardMs;
    return {
      leaderContactMs: Math.max(0, nowMs - this.#contactMs),
      knownLeader: this.#knownLeader,
      disconnectedMs: this.#stream !== undefined && silentMs < silenceMs ? 0 : silentMs,
    };
  }

  /** Called after each index whose rows are in `tables`; not while a view is still growing. */
  onChange(listener: (touched: Touched) => void): () => void {
    this.#changeListeners.add(listener);
    return () => this.#changeListeners.delete(listener);
  }

  /** Called once the first whole view is there; at once when it is. */
  onComplete(listener: () => void): void {
    if (this.#isComplete) listener();
    else this.#completeListeners.add(listener);
  }

  start(): void {
    if (!this.#isStopped) return;
    this.#isStopped = false;
    this.#silence = setInterval(() => this.#checkSilence(), silenceMs / 2);
    this.#silence.unref();
    this.#subscribe();
  }

  stop(): void {
    this.#isStopped = true;
    clearInterval(this.#silence);
    clearTimeout(this.#retry);
    this.#drop();
  }

  #subscribe(): void {
    const { client, topics, services, token, datacenter } = this.#options;
    this.#growing = undefined;
    // Rows of a first view that broke off are of no known index.
    if (!this.#isComplete) this.#tables = new Tables();
    const stream = client.of(State).subscribe({
      topics: [...topics],
      services: [...services ?? []],
      afterIndex: this.#isComplete ? this.#index : 0,
      generation: this.#isComplete ? this.#generation : 0,
    }, { token, datacenter });
    this.#stream = stream;
    stream.onItem = (batch) => {
      if (this.#stream === stream) this.#receive(batch);
    };
    stream.onEnd = () => this.#lost(stream, "ended");
    stream.onError = (error) => this.#lost(stream, `${error.code}: ${error.message}`);
  }

  #lost(stream: InStream<ChangeBatch>, reason: string): void {
    if (this.#stream !== stream) return;
    this.#stream = undefined;
    this.#growing = undefined;
    if (this.#isStopped) return;
    this.#options.log.debug({ reason, index: this.#index }, "view lost its stream");
    const delayMs = this.#retryMs * (0.5 + Math.random() / 2);
    this.#retryMs = Math.min(this.#retryMs * 2, retryMostMs);
    this.#retry = setTimeout(() => this.#subscribe(), delayMs);
  }

  #drop(): void {
    const stream = this.#stream;
    this.#stream = undefined;
    stream?.cancel();
  }

  #checkSilence(): void {
    if (this.#stream === undefined || this.#clock.nowMs() - this.#heardMs < silenceMs) return;
    // The first whole view of a large state may take its time to begin, but not for ever.
    const stream = this.#stream;
    this.#lost(stream, "silent");
    stream.cancel();
  }

  #receive(batch: ChangeBatch): void {
    this.#heardMs = this.#clock.nowMs();
    this.#retryMs = retryFirstMs;
    if (batch.bookmark !== null) this.#mark(batch.bookmark);
    if (batch.resync) this.#growing = new Tables();
    const growing = this.#growing;
    if (growing === undefined && !this.#isComplete) this.#growing = this.#tables;
    const tables = this.#growing ?? this.#tables;
    const isGrowing = this.#growing !== undefined;
    const touched = newTouched(isGrowing);
    for (const change of batch.changes) tables.apply(change, touched);
    if (isGrowing && !batch.viewComplete) return;
    if (batch.index > 0) this.#index = batch.index;
    if (batch.generation > 0) this.#generation = batch.generation;
    if (isGrowing) {
      this.#tables = tables;
      this.#growing = undefined;
      this.#completed();
    } else if (batch.changes.length === 0) return;
    for (const listener of this.#changeListeners) listener(touched);
  }

  #mark(bookmark: Bookmark): void {
    this.#knownLeader = bookmark.knownLeader;
    this.#contactMs = this.#clock.nowMs() - bookmark.lastContactMs;
    if (this.#growing !== undefined || !this.#isComplete) return;
    if (bookmark.index > this.#index) this.#index = bookmark.index;
  }

  #completed(): void {
    if (this.#isComplete) return;
    this.#isComplete = true;
    for (const listener of this.#completeListeners) listener();
    this.#completeListeners.clear();
  }
}
