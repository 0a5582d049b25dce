// State.Watch: one stream per caller tells which of the many things it watches have changed. Every
// change is on its way before any answer that could show it.

import type { Query, WatchChange, WatchEventInput } from "#proto/messages.js";
import type { Call, OutStream, Peer } from "#shared/bus/types.ts";
import { CuriaError } from "#shared/errors.ts";
import type { AppliedChanges } from "../state/store-types.ts";
import { WatchTable } from "../state/watch.ts";

export interface WatchSource {
  /** Names of the node that a query names by its ID. */
  nodeNames(query: Query): string[];
  /** Consul's index of the answer as it is now. */
  indexOf(query: Query): number;
  bookmark(): {
    index: number;
    generation: number;
    knownLeader: boolean;
    lastContactMs: number;
  };
}

interface Stream {
  id: number;
  out: OutStream<WatchEventInput>;
  connection: Peer;
  /** The caller's number → ours. */
  watches: Map<number, number>;
}

/** Watches of one stream; beyond it the caller is told to share or to poll. */
const WATCHES_MAX = 200_000;
/** Events that a caller does not read, before it must begin anew. */
const QUEUED_BYTES_MAX = 4 * 1024 * 1024;
const BOOKMARK_MS = 1_000;

export class WatchStreams {
  readonly #source: WatchSource;
  readonly #table = new WatchTable<number>();
  readonly #streams = new Map<number, Stream>();
  readonly #owners = new Map<number, { stream: Stream; number: number }>();
  readonly #timer: Timer;
  #nextStream = 1;
  #nextWatch = 1;

  constructor(source: WatchSource) {
    this.#source = source;
    this.#timer = setInterval(() => this.bookmark(), BOOKMARK_MS);
  }

  get watchCount(): number {
    return this.#owners.size;
  }

  get streamCount(): number {
    return this.#streams.size;
  }

  open(call: Call, out: OutStream<WatchEventInput>): void {
    const id = this.#nextStream++;
    const stream: Stream = { id, out, connection: call.connection, watches: new Map() };
    this.#streams.set(id, stream);
    out.onClose(() => {
      this.#clear(stream);
      this.#streams.delete(id);
    });
    out.write({ stream: id });
    out.write({ bookmark: this.#source.bookmark() });
  }

  update(change: WatchChange, call: Call): void {
    const stream = this.#streams.get(change.stream);
    if (stream === undefined || stream.connection !== call.connection) {
      throw new CuriaError(
        "not-found",
        `Expected an open watch stream but ${change.stream} is none`,
      );
    }
    for (const number of change.remove) this.#remove(stream, number);
    if (change.add === 0) return;
    if (change.query === null) {
      throw new CuriaError("invalid-argument", "Expected a query to watch");
    }
    if (stream.watches.size >= WATCHES_MAX) {
      throw new CuriaError("overloaded", `Expected at most ${WATCHES_MAX} watches on one stream`);
    }
    this.#remove(stream, change.add);
    const watch = this.#nextWatch++;
    this.#table.add(watch, change.query, this.#source.nodeNames(change.query));
    stream.watches.set(change.add, watch);
    this.#owners.set(watch, { stream, number: change.add });
    const index = this.#source.indexOf(change.query);
    // It changed between the caller's read and now.
    if (index !== change.knownIndex) {
      stream.out.write({ changed: { watches: [change.add], index } });
    }
  }

  changed(changes: AppliedChanges | "everything", index: number): void {
    if (changes === "everything") return this.resync();
    if (this.#owners.size === 0) return;
    const byStream = new Map<Stream, number[]>();
    for (const watch of this.#table.touched(changes).keys()) {
      const owner = this.#owners.get(watch);
      if (owner === undefined) continue;
      const numbers = byStream.get(owner.stream);
      if (numbers === undefined) byStream.set(owner.stream, [owner.number]);
      else numbers.push(owner.number);
    }
    for (const [stream, watches] of byStream) {
      if (stream.out.queuedBytes > QUEUED_BYTES_MAX) this.#resync(stream);
      else stream.out.write({ changed: { watches, index } });
    }
  }

  /** The state was replaced: nobody's rows are good any more. */
  resync(): void {
    for (const stream of this.#streams.values()) this.#resync(stream);
  }

  /** Settles when all events of this caller have left, so that its answer cannot overtake them.
   *  Undefined: they have. */
  flushed(connection: Peer): Promise<void> | undefined {
    for (const stream of this.#streams.values()) {
      if (stream.connection === connection && stream.out.queuedBytes > 0) {
        return stream.out.drained();
      }
    }
    return undefined;
  }

  close(): void {
    clearInterval(this.#timer);
    for (const { out } of this.#streams.values()) out.end();
  }

  #resync(stream: Stream): void {
    this.#clear(stream);
    stream.out.write({ resync: true });
  }

  #clear(stream: Stream): void {
    for (const number of [...stream.watches.keys()]) this.#remove(stream, number);
  }

  #remove(stream: Stream, number: number): void {
    const watch = stream.watches.get(number);
    if (watch === undefined) return;
    stream.watches.delete(number);
    this.#owners.delete(watch);
    this.#table.remove(watch);
  }

  /** Tells everyone where the state is and whether a leader is known; each second, and when that
   *  changes. */
  bookmark(): void {
    if (this.#streams.size === 0) return;
    const bookmark = this.#source.bookmark();
    for (const { out } of this.#streams.values()) if (out.isWritable) out.write({ bookmark });
  }
}
