// The network between servers: delays, drops, repeats and reorders messages, and is split by
// directed blocks. A connection ends with the process it leads to, so what was sent to an earlier
// run of a server never reaches a later one.

import type { Random } from "#shared/random.ts";
import type { EventQueue } from "./queue.ts";

export interface NetworkMix {
  readonly delayMinMs: number;
  readonly delayMaxMs: number;
  /** Share of messages that take up to `spikeMs`. */
  readonly spikeChance: number;
  readonly spikeMs: number;
  readonly dropChance: number;
  readonly repeatChance: number;
  /** Whether messages between two servers keep their order, as on one TCP connection. */
  readonly isOrdered: boolean;
}

export class Network {
  #queue: EventQueue;
  #random: Random;
  #mix: NetworkMix;
  #blocked = new Set<string>();
  #lastArrival = new Map<string, number>();
  sentCount = 0;
  lostCount = 0;
  repeatedCount = 0;

  constructor(queue: EventQueue, random: Random, mix: NetworkMix) {
    this.#queue = queue;
    this.#random = random;
    this.#mix = mix;
  }

  set mix(mix: NetworkMix) {
    this.#mix = mix;
  }

  block(from: string, to: string): void {
    this.#blocked.add(`${from}>${to}`);
  }

  isBlocked(from: string, to: string): boolean {
    return this.#blocked.has(`${from}>${to}`);
  }

  heal(): void {
    this.#blocked.clear();
  }

  send(from: string, to: string, arrive: () => void): void {
    this.sentCount++;
    const random = this.#random, mix = this.#mix;
    const isLost = this.isBlocked(from, to) || random.chance(mix.dropChance);
    if (isLost) {
      this.lostCount++;
      return;
    }
    this.#carry(from, to, arrive);
    if (random.chance(mix.repeatChance)) {
      this.repeatedCount++;
      this.#carry(from, to, arrive);
    }
  }

  #carry(from: string, to: string, arrive: () => void): void {
    const random = this.#random, mix = this.#mix;
    let delayMs = random.between(mix.delayMinMs, mix.delayMaxMs);
    if (random.chance(mix.spikeChance)) delayMs += random.between(0, mix.spikeMs);
    let atMs = this.#queue.nowMs + delayMs;
    if (mix.isOrdered) {
      const link = `${from}>${to}`;
      atMs = Math.max(atMs, this.#lastArrival.get(link) ?? 0);
      this.#lastArrival.set(link, atMs);
    }
    this.#queue.at(atMs, arrive);
  }
}
