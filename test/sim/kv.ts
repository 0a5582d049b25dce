// A small state machine in the shape of the real one: keys with values, and per client the outcome
// of its last write, so that a write that is sent again is not applied again.

export type WriteOp =
  | { readonly kind: "put"; readonly key: string; readonly value: number }
  | { readonly kind: "cas"; readonly key: string; readonly from: number; readonly to: number }
  | { readonly kind: "delete"; readonly key: string };

export interface Command {
  readonly client: string;
  readonly sequence: number;
  readonly op: WriteOp;
}

/** What a write answers: whether it took effect. */
export type WriteResult = boolean;

/** A key that is not there. */
export const ABSENT = 0;

interface ClientRow {
  readonly sequence: number;
  readonly result: WriteResult;
}

const encoder = new TextEncoder();
const decoder = new TextDecoder();

export function encodeCommand(command: Command): Uint8Array {
  return encoder.encode(JSON.stringify(command));
}

export function decodeCommand(bytes: Uint8Array): Command {
  return JSON.parse(decoder.decode(bytes)) as Command;
}

export class KvState {
  index = 0;
  term = 0;
  stampMs = 0;
  /** Folds in every applied entry: equal at the same index, or the replicas have parted. */
  digest = 0;
  #rows: Map<string, number>;
  #clients: Map<string, ClientRow>;

  constructor(rows?: Map<string, number>, clients?: Map<string, ClientRow>) {
    this.#rows = rows ?? new Map();
    this.#clients = clients ?? new Map();
  }

  get(key: string): number {
    return this.#rows.get(key) ?? ABSENT;
  }

  /** Undefined if the client is further already: nobody waits for this copy any more. */
  apply(command: Command): { result: WriteResult; isNew: boolean } | undefined {
    const known = this.#clients.get(command.client);
    if (known && known.sequence === command.sequence) {
      return { result: known.result, isNew: false };
    }
    if (known && known.sequence > command.sequence) return undefined;
    const result = this.#write(command.op);
    this.#clients.set(command.client, { sequence: command.sequence, result });
    return { result, isNew: true };
  }

  #write(op: WriteOp): WriteResult {
    switch (op.kind) {
      case "put":
        this.#rows.set(op.key, op.value);
        return true;
      case "delete":
        return this.#rows.delete(op.key);
      case "cas":
        if (this.get(op.key) !== op.from) return false;
        this.#rows.set(op.key, op.to);
        return true;
      default:
        return op satisfies never;
    }
  }

  clone(): KvState {
    const copy = new KvState(new Map(this.#rows), new Map(this.#clients));
    copy.index = this.index;
    copy.term = this.term;
    copy.stampMs = this.stampMs;
    copy.digest = this.digest;
    return copy;
  }

  /** The content alone, for comparing replicas. */
  contentHash(): number {
    let sum = 0;
    for (const [key, value] of this.#rows) sum = (sum + fold(fold(1, hashText(key)), value)) >>> 0;
    for (const [client, row] of this.#clients) {
      sum = (sum + fold(fold(2, hashText(client)), row.sequence * 2 + Number(row.result))) >>> 0;
    }
    return sum;
  }

  encode(): Uint8Array {
    const { index, term, stampMs, digest } = this;
    const rows = [...this.#rows], clients = [...this.#clients];
    return encoder.encode(JSON.stringify({ index, term, stampMs, digest, rows, clients }));
  }

  static decode(bytes: Uint8Array): KvState {
    const form = JSON.parse(decoder.decode(bytes));
    const state = new KvState(new Map(form.rows), new Map(form.clients));
    state.index = form.index;
    state.term = form.term;
    state.stampMs = form.stampMs;
    state.digest = form.digest;
    return state;
  }
}

export function fold(digest: number, value: number): number {
  let z = (Math.imul(digest ^ 0x9e3779b9, 0x21f0aaad) + (value | 0)) >>> 0;
  z = Math.imul(z ^ (z >>> 15), 0x735a2d97);
  return (z ^ (z >>> 15)) >>> 0;
}

export function hashText(text: string): number {
  let hash = 7;
  for (let i = 0; i < text.length; i++) hash = Math.imul(hash, 31) + text.charCodeAt(i) | 0;
  return hash >>> 0;
}

export function hashBytes(bytes: Uint8Array): number {
  let hash = 7;
  for (const byte of bytes) hash = Math.imul(hash, 31) + byte | 0;
  return hash >>> 0;
}
