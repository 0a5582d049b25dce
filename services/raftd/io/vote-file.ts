// Term and vote, in a small preallocated file of their own: two slots written in turn, so that a torn
// write leaves the other one, and so that a full disk cannot stop an election (design: a full disk
// refuses writes, not votes).

import {
  closeSync,
  existsSync,
  fdatasyncSync,
  fsyncSync,
  openSync,
  readSync,
  writeSync,
} from "node:fs";
import { dirname } from "node:path";
import { CuriaError } from "#shared/errors.ts";
import { syncFolder } from "#shared/synced-file.ts";

/** The newest term seen, and whom this server voted for in it ("" for nobody). */
export interface Vote {
  term: number;
  votedFor: string;
}

const SLOT_BYTES = 512;
const MAGIC = 0x63766f74;
const HEADER_BYTES = 32;
const VOTED_FOR_BYTES_MAX = SLOT_BYTES - HEADER_BYTES;

interface Slot extends Vote {
  generation: number;
}

export class VoteFile {
  readonly #fd: number;
  #current: Slot;

  /** Opens the file, making it when absent. Fails when neither slot can be believed. */
  constructor(path: string) {
    const isNew = !existsSync(path);
    this.#fd = openSync(path, isNew ? "w+" : "r+", 0o600);
    if (isNew) {
      this.#current = { generation: 0, term: 0, votedFor: "" };
      writeSync(this.#fd, new Uint8Array(SLOT_BYTES * 2), 0, SLOT_BYTES * 2, 0);
      this.#write(this.#current);
      fsyncSync(this.#fd);
      syncFolder(dirname(path));
      return;
    }
    const slots = [0, 1].map((number) => this.#read(number)).filter((slot) => slot !== undefined);
    const newest = slots.sort((a, b) => b.generation - a.generation)[0];
    if (newest === undefined) {
      throw new CuriaError(
        "internal",
        `Expected a term and vote in ${path} but both of its slots fail their checksum; ` +
          "this server cannot vote safely: remove its data directory and let it join as a new server",
      );
    }
    this.#current = newest;
  }

  get vote(): Vote {
    return { term: this.#current.term, votedFor: this.#current.votedFor };
  }

  /** Returns when the vote is on the disk. */
  save(vote: Vote): void {
    this.#current = { ...vote, generation: this.#current.generation + 1 };
    this.#write(this.#current);
    fdatasyncSync(this.#fd);
  }

  close(): void {
    closeSync(this.#fd);
  }

  #write(slot: Slot): void {
    const bytes = new Uint8Array(SLOT_BYTES);
    const view = new DataView(bytes.buffer);
    const name = new TextEncoder().encode(slot.votedFor);
    if (name.length > VOTED_FOR_BYTES_MAX) {
      throw new CuriaError(
        "invalid-argument",
        `Expected a server id of at most ${VOTED_FOR_BYTES_MAX} bytes but found ${name.length}`,
      );
    }
    view.setUint32(0, MAGIC);
    view.setFloat64(8, slot.generation);
    view.setFloat64(16, slot.term);
    view.setUint32(24, name.length);
    bytes.set(name, HEADER_BYTES);
    view.setUint32(4, checksum(bytes));
    writeSync(this.#fd, bytes, 0, SLOT_BYTES, (slot.generation % 2) * SLOT_BYTES);
  }

  #read(number: number): Slot | undefined {
    const bytes = new Uint8Array(SLOT_BYTES);
    if (readSync(this.#fd, bytes, 0, SLOT_BYTES, number * SLOT_BYTES) !== SLOT_BYTES) {
      return undefined;
    }
    const view = new DataView(bytes.buffer);
    if (view.getUint32(0) !== MAGIC || view.getUint32(4) !== checksum(bytes)) return undefined;
    const length = view.getUint32(24);
    return {
      generation: view.getFloat64(8),
      term: view.getFloat64(16),
      votedFor: new TextDecoder().decode(bytes.subarray(HEADER_BYTES, HEADER_BYTES + length)),
    };
  }
}

function checksum(slot: Uint8Array): number {
  return Bun.hash.crc32(slot.subarray(8)) >>> 0;
}
