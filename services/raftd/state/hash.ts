// A fingerprint of all rows that does not depend on their order: each row adds a number, so a
// change costs one addition and one subtraction. It finds servers that diverged; it is no proof
// against an attacker.

/** Sums and row numbers stay below this, so that adding two is exact in a double. */
const modulus = 2 ** 48;
const mask = BigInt(modulus - 1);

const scratch = new Uint8Array(32);
const view = new DataView(scratch.buffer);
const encoder = new TextEncoder();

/** The number of one row: its table, its key, its payload and the two indexes. */
export function rowHash(
  table: number,
  key: Uint8Array,
  payload: Uint8Array,
  createIndex: number,
  modifyIndex: number,
): number {
  const keyHash = Bun.hash.xxHash32(key, table);
  view.setUint32(0, keyHash);
  view.setUint32(4, Bun.hash.xxHash32(payload, keyHash));
  view.setFloat64(8, createIndex);
  view.setFloat64(16, modifyIndex);
  view.setUint32(24, payload.length);
  view.setUint32(28, key.length);
  return Number(Bun.hash.wyhash(scratch, 0n) & mask);
}

export function textHash(table: number, key: string, value: number): number {
  return rowHash(table, encoder.encode(key), emptyBytes, 0, value);
}

const emptyBytes = new Uint8Array(0);

/** The sum itself. */
export class ContentHash {
  #sum = 0;

  get sum(): number {
    return this.#sum;
  }

  set sum(sum: number) {
    this.#sum = sum;
  }

  add(row: number): void {
    this.#sum = (this.#sum + row) % modulus;
  }

  remove(row: number): void {
    this.#sum = (this.#sum - row + modulus) % modulus;
  }
}

/** As shown to operators: 12 hex digits. */
export function formatHash(sum: number): string {
  return sum.toString(16).padStart(12, "0");
}

/** Tables that take part, by a number that must never change. */
export const hashTables = {
  kv: 1,
  tombstone: 2,
  lockDelay: 3,
  node: 4,
  service: 5,
  check: 6,
  session: 7,
  coordinate: 8,
  document: 9,
  index: 10,
  client: 11,
} as const;
