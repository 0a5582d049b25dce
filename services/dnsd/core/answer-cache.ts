// Templates by the bytes of the question. Two generations bound the memory: when the young one is
// full it becomes the old one, and what is asked for again moves over.

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

export class AnswerCache {
  readonly #entriesMax: number;
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

  add(message: Uint8Array, transport: Transport, template: Template, reads: ReadSet): void {
    if (message.length > messageBytesMax) return;
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
