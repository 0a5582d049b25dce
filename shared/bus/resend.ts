// The books of exactly-once writes: each gets this process's client id, a sequence number, and the
// lowest number that is still waited for, so that the state can forget outcomes below it.

import type { ContextInput } from "#proto/messages.js";

export class Sequencer {
  readonly client: string;
  #next = 1;
  #floor = 1;
  readonly #finished = new Set<number>();

  constructor(client: string) {
    this.client = client;
  }

  /** Numbers a write. The same numbers go out again when it is sent again. */
  assign(context: ContextInput): number {
    const sequence = this.#next++;
    context.client = this.client;
    context.sequence = sequence;
    context.floor = this.#floor;
    return sequence;
  }

  /** The write has its answer, or its caller gave up. */
  finish(sequence: number): void {
    if (sequence !== this.#floor) {
      this.#finished.add(sequence);
      return;
    }
    this.#floor++;
    while (this.#finished.delete(this.#floor)) this.#floor++;
  }

  /** Lowest number without an answer. */
  get floor(): number {
    return this.#floor;
  }
}

/** One per process (worker threads have their own): made when the first write is sent. */
let own: Sequencer | undefined;

export function processSequencer(): Sequencer {
  own ??= new Sequencer(crypto.randomUUID());
  return own;
}
