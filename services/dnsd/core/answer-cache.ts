// Templates by the bytes of the question. Two generations bound the memory: when the young one is
// full it becomes the old one, and what is asked for again moves over. Only what is asked a second
// time gets in, so that names made up at random neither fill it nor cost more than their answer.

import type { Transport } from "./message.ts";
import type { Template } from "./template.ts";
import type { ReadSet, Versions } from "./versions.ts";

export interface CacheSizes {
  /** Of one generation. */
  entriesMax: number;
}

interface Entry {
  template: Template;
  reads: ReadSet;
}

/** Longer questions carry options that hardly come twice. */
const messageBytesMax = 300;

const seenCount = 1 << 16;

export class AnswerCache {
  readonly #entriesMax: number;
  /** By hash: the questions asked once lately. */
  readonly #seen = new Uint8Array(seenCount);
  #seenUsed = 0;
  #young: Generation = { udp: new Map(), tcp: new Map() };
  #old: Generation = { udp: new Map(), tcp: new Map() };

  constructor(sizes: CacheSizes = { entriesMax: 4096 }) {
    this.#entriesMax = sizes.entriesMax;
  }

  get count(): number {
    return this.#young.udp.size + this.#young.tcp.size + this.#old.udp.size + this.#old.tcp.size;
  }

  byMessage(
    message: Uint8Array,
    transport: Transport,
    versions: Versions,
  ): Template | undefined {
    if (message.length > messageBytesMax) return undefined;
    const key = keyOf(message);
    let entry = this.#young[transport].get(key);
    if (entry === undefined) {
      entry = this.#old[transport].get(key);
      if (entry === undefined) return undefined;
      this.#put(key, transport, entry);
    }
    return versions.isCurrent(entry.reads) ? entry.template : undefined;
  }

  /** Whether the question was asked before; from now on it was. */
  isWanted(message: Uint8Array): boolean {
    if (message.length > messageBytesMax) return false;
    const hash = hashOf(message);
    if (this.#seen[hash] === 1) return true;
    if (++this.#seenUsed > seenCount / 4) {
      this.#seen.fill(0);
      this.#seenUsed = 1;
    }
    this.#seen[hash] = 1;
    return false;
  }

  add(message: Uint8Array, transport: Transport, template: Template, reads: ReadSet): void {
    this.#put(keyOf(message), transport, { template, reads });
  }

  clear(): void {
    this.#young = { udp: new Map(), tcp: new Map() };
    this.#old = { udp: new Map(), tcp: new Map() };
  }

  #put(key: string, transport: Transport, entry: Entry): void {
    const map = this.#young[transport];
    if (map.size >= this.#entriesMax) {
      this.#old = this.#young;
      this.#young = { udp: new Map(), tcp: new Map() };
    }
    this.#young[transport].set(key, entry);
  }
}

interface Generation {
  udp: Map<string, Entry>;
  tcp: Map<string, Entry>;
}

/** Everything but the id. */
function keyOf(message: Uint8Array): string {
  return Buffer.prototype.latin1Slice.call(message, 2, message.length);
}

/** FNV-1a over everything but the id. */
function hashOf(message: Uint8Array): number {
  let hash = 0x811c9dc5;
  for (let i = 2; i < message.length; i++) hash = Math.imul(hash ^ message[i]!, 0x01000193);
  return (hash ^ (hash >>> 16)) & (seenCount - 1);
}
