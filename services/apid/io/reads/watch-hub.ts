// The one Watch stream of a connection to the state, and the confirmations that belong to it.
// "Confirmed" means: everything that changed up to the confirmed index was told on this connection
// before the answer, so whoever holds rows that nobody called changed may serve them.

import {
  Empty,
  type QueryInput,
  ReadMeta,
  type WatchChangeInput,
  type WatchEvent,
} from "#proto/messages.js";
import { State } from "#proto/services.ts";
import type { BusClient } from "#shared/bus/client.ts";
import { outgoingContext } from "#shared/bus/context.ts";
import type { InStream } from "#shared/bus/types.ts";
import type { CuriaError } from "#shared/errors.ts";
import type { Contact } from "./plan.ts";

export interface Watcher {
  /** What it watches has changed, as of this index. */
  changed(index: number): void;
  /** Nothing is known any more: read again, watch anew. */
  lost(): void;
}

type Proven = (isProven: boolean) => void;

const reopenMs = 200;
/** Bookmarks come each second; without several of them nothing is known. */
export const contactAgeMaxMs = 3_000;
const directPeer = "raftd";

export class WatchHub {
  readonly #client: BusClient;
  readonly #token: string;
  readonly #watchers = new Map<number, Watcher>();
  #stream: InStream<WatchEvent> | undefined;
  /** The server's name of the stream; 0: not open. */
  #streamId = 0;
  #epoch = 0;
  /** The connection ends at the server that answers. Behind relayd two calls may reach two servers,
   *  so there a confirmation proves nothing of what was watched. */
  isDirect = false;
  #lastWatch = 0;
  #reopen: ReturnType<typeof setTimeout> | undefined;
  #isClosed = false;
  #contact: Contact = { knownLeader: false, lastContactMs: 0 };
  #contactAtMs = 0;
  #waiting: Record<"default" | "consistent", Proven[]> = { default: [], consistent: [] };
  #isFlushScheduled = false;
  /** Called when watching becomes possible again. */
  onOpen: (() => void) | undefined;
  counts = { confirms: 0, confirmed: 0, changes: 0, resyncs: 0 };

  constructor(client: BusClient, token = "") {
    this.#client = client;
    this.#token = token;
    client.onConnected = () => this.#open();
    client.onDisconnected = () => this.#lose();
  }

  start(): void {
    this.#client.connect();
  }

  close(): void {
    this.#isClosed = true;
    clearTimeout(this.#reopen);
    this.#stream?.cancel();
    this.#lose();
  }

  get isOpen(): boolean {
    return this.#streamId !== 0;
  }

  /** Changes whenever what was watched before is void. */
  get epoch(): number {
    return this.#epoch;
  }

  get watchCount(): number {
    return this.#watchers.size;
  }

  /** The server's contact with its leader, while the bookmarks that tell it keep coming. That a
   *  leader is lost or found is told at once, so without one nothing but time goes on. */
  contact(nowMs: number): Contact | undefined {
    const toldAgoMs = nowMs - this.#contactAtMs;
    if (!this.isOpen || toldAgoMs >= contactAgeMaxMs) return undefined;
    const { knownLeader, lastContactMs } = this.#contact;
    if (knownLeader) return this.#contact;
    return { knownLeader, lastContactMs: lastContactMs + Math.round(toldAgoMs) };
  }

  // ---- watches

  /** Watches a query. Resolves when every later change will be told: rows read after that stay true
   *  until `changed`. Undefined when it cannot be watched now. */
  async watch(query: QueryInput, watcher: Watcher): Promise<number | undefined> {
    if (!this.isOpen) return undefined;
    const epoch = this.#epoch;
    const id = ++this.#lastWatch;
    this.#watchers.set(id, watcher);
    try {
      await this.#update({ stream: this.#streamId, add: id, query });
      if (epoch === this.#epoch) return id;
    } catch {
      // The stream is gone, or the server will not watch this.
    }
    this.#watchers.delete(id);
    return undefined;
  }

  unwatch(id: number): void {
    if (!this.#watchers.delete(id) || !this.isOpen) return;
    this.#update({ stream: this.#streamId, remove: [id] }).catch(() => {});
  }

  #update(change: WatchChangeInput): Promise<unknown> {
    return this.#client.of(State).watchUpdate(change, { token: this.#token });
  }

  // ---- confirmations

  /** Calls back with true when rows that are still called true then are linearizable. All that ask
   *  within one turn of the event loop share one call, which is sent after the last of them asked. */
  confirm(mode: "default" | "consistent", proven: Proven): void {
    this.#waiting[mode].push(proven);
    if (this.#isFlushScheduled) return;
    this.#isFlushScheduled = true;
    setImmediate(() => this.#flush());
  }

  #flush(): void {
    this.#isFlushScheduled = false;
    for (const mode of ["default", "consistent"] as const) {
      const asking = this.#waiting[mode];
      if (asking.length === 0) continue;
      this.#waiting[mode] = [];
      this.#send(mode, asking);
    }
  }

  #send(mode: "default" | "consistent", asking: Proven[]): void {
    const epoch = this.#epoch;
    if (!this.isOpen) {
      for (const proven of asking) proven(false);
      return;
    }
    this.counts.confirms++;
    const tell = (isProven: boolean) => {
      this.counts.confirmed += asking.length;
      for (const proven of asking) proven(isProven);
    };
    this.#client.unaryCall(
      State.methods.confirm,
      Empty.create(),
      outgoingContext({ consistency: mode, token: this.#token }),
      performance.now() + 10_000,
      (meta) => tell(epoch === this.#epoch && (meta as ReadMeta).index > 0),
      (_error: CuriaError) => tell(false),
    );
  }

  // ---- the stream

  #open(): void {
    if (this.#isClosed) return;
    clearTimeout(this.#reopen);
    this.#lose();
    this.#stream?.cancel();
    const stream = this.#client.of(State).watch({}, { token: this.#token });
    this.#stream = stream;
    stream.onItem = (event) => this.#stream === stream && this.#take(event);
    const ended = () => {
      if (this.#stream !== stream) return;
      this.#stream = undefined;
      this.#lose();
      if (this.#isClosed) return;
      this.#reopen = setTimeout(() => this.#open(), reopenMs);
    };
    stream.onEnd = ended;
    stream.onError = ended;
  }

  #take(event: WatchEvent): void {
    if (event.stream) {
      this.#streamId = event.stream;
      this.isDirect = this.#client.peerDaemon() === directPeer;
      this.onOpen?.();
    } else if (event.changed) {
      for (const id of event.changed.watches) {
        this.counts.changes++;
        this.#watchers.get(id)?.changed(event.changed.index);
      }
    } else if (event.bookmark) {
      const { knownLeader, lastContactMs } = event.bookmark;
      this.#contact = { knownLeader, lastContactMs };
      this.#contactAtMs = performance.now();
    } else if (event.resync) {
      this.counts.resyncs++;
      const stream = this.#streamId;
      this.#lose();
      this.#streamId = stream;
      this.onOpen?.();
    }
  }

  #lose(): void {
    this.#epoch++;
    this.#streamId = 0;
    const watchers = [...this.#watchers.values()];
    this.#watchers.clear();
    for (const watcher of watchers) watcher.lost();
  }
}
