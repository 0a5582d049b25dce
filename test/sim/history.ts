// What clients asked, when, and what they were told.

/** A lock on a key, and a session that may hold it: registers too, by these names. Nobody: 0. */
export const holderOf = (key: string) => `${key}/holder`;
export const isOpen = (session: number) => `s${session}/open`;

/** One step of a transaction: all of them take effect, or none. */
export type Step =
  | { readonly kind: "read"; readonly key: string }
  | { readonly kind: "put"; readonly key: string; readonly value: number }
  | { readonly kind: "cas"; readonly key: string; readonly from: number; readonly to: number }
  | { readonly kind: "delete"; readonly key: string };

export type Op =
  | { readonly kind: "get" }
  | { readonly kind: "put"; readonly value: number }
  | { readonly kind: "cas"; readonly from: number; readonly to: number }
  | { readonly kind: "delete" }
  | { readonly kind: "txn"; readonly steps: readonly Step[] }
  /** Begins and ends a session; with its end it holds nothing any more. */
  | { readonly kind: "open" | "close"; readonly session: number }
  /** Takes or gives up the lock on the key, and writes its value. */
  | { readonly kind: "acquire" | "release"; readonly session: number; readonly value: number }
  /** Reads the value and who holds the lock. */
  | { readonly kind: "look" };

/** The value read, or whether the write took effect; of a look or a transaction that took effect the
 *  values it read, in order, else false; undefined if unknown. */
export type Result = number | boolean | readonly number[] | undefined;

/** A call may take effect at any moment from invoke to return; one without an answer at any later
 *  moment, or never. */
export interface Call {
  readonly client: string;
  /** Of a transaction its first, of a session what says whether it is open. */
  readonly key: string;
  readonly op: Op;
  readonly invokeMs: number;
  /** Infinity while, or if, no answer came. */
  returnMs: number;
  result: Result;
}

export class History {
  #calls: Call[] = [];

  get calls(): readonly Call[] {
    return this.#calls;
  }

  invoke(client: string, key: string, op: Op, invokeMs: number): Call {
    const call: Call = { client, key, op, invokeMs, returnMs: Infinity, result: undefined };
    this.#calls.push(call);
    return call;
  }

  /** It certainly had no effect: nobody took it. */
  forget(call: Call): void {
    this.#calls.splice(this.#calls.lastIndexOf(call), 1);
  }

  /** Calls that can be judged apart from all others: keys that a transaction touches together belong
   *  together. By one of their keys. */
  groups(): Map<string, Call[]> {
    const parents = new Map<string, string>();
    const rootOf = (key: string): string => {
      let root = key;
      for (let next = parents.get(root); next !== undefined; next = parents.get(root)) root = next;
      return root;
    };
    for (const call of this.#calls) {
      const [first, ...others] = keysOf(call).map(rootOf);
      for (const other of others) if (rootOf(other) !== rootOf(first!)) parents.set(other, first!);
    }
    const groups = new Map<string, Call[]>();
    for (const call of this.#calls) {
      const root = rootOf(call.key);
      const group = groups.get(root);
      if (group) group.push(call);
      else groups.set(root, [call]);
    }
    return groups;
  }
}

export function keysOf({ key, op }: Call): string[] {
  switch (op.kind) {
    case "txn":
      return op.steps.map((step) => step.key);
    case "acquire":
    case "release":
      return [key, holderOf(key), isOpen(op.session)];
    case "look":
      return [key, holderOf(key)];
    default:
      return [key];
  }
}
