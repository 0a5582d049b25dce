// The books of exactly-once writes: each gets this process's client id, a sequence number, and the
// lowest number that is still waited for, so that the state can forget outcomes below it.

import type { ContextInput } from "#proto/messages.js";

export class Sequencer {
  readonly client: string;
  #next = 1;
  #floor = 1;
  readonly #finished = new Set<number>();
  /** The state has a row for this client: it answered a write. */
  #isKnown = false;

  constructor(client: string) {
    this.client = client;
  }

  /** Numbers a write. The same numbers go out again when it is sent again. */
  assign(context: ContextInput): number {
    const sequence = this.#next++;
    context.client = this.client;
    context.sequence = sequence;
    context.floor = this.floor;
    return sequence;
  }

  /** The write is over. `isAnswered`: by the state, not by an error on the way to it. */
  finish(sequence: number, isAnswered: boolean): void {
    if (isAnswered) this.#isKnown = true;
    if (sequence !== this.#floor) {
      this.#finished.add(sequence);
      return;
    }
    this.#floor++;
    while (this.#finished.delete(this.#floor)) this.#floor++;
  }

  /** Lowest number without an answer; 1 until the state knows this client, because it takes a
   *  higher floor of an unknown client for that of one that it forgot. */
  get floor(): number {
    return this.#isKnown ? this.#floor : 1;
  }
}

/** One sequencer per datacenter, since each has a state of its own. */
export class Sequencers {
  readonly #makeClient: () => string;
  readonly #byDatacenter = new Map<string, Sequencer>();

  constructor(makeClient: () => string) {
    this.#makeClient = makeClient;
  }

  for(datacenter: string): Sequencer {
    let sequencer = this.#byDatacenter.get(datacenter);
    if (sequencer === undefined) {
      sequencer = new Sequencer(this.#makeClient());
      this.#byDatacenter.set(datacenter, sequencer);
    }
    return sequencer;
  }

  /** The state forgot this client: the next write is a new one's. */
  drop(sequencer: Sequencer): void {
    for (const [datacenter, current] of this.#byDatacenter) {
      if (current === sequencer) this.#byDatacenter.delete(datacenter);
    }
  }
}

/** The process's own (worker threads have theirs). */
export const processSequencers = new Sequencers(() => crypto.randomUUID());
