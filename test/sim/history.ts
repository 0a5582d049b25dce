// What clients asked, when, and what they were told.

export type Op =
  | { readonly kind: "get" }
  | { readonly kind: "put"; readonly value: number }
  | { readonly kind: "cas"; readonly from: number; readonly to: number }
  | { readonly kind: "delete" };

/** A call may take effect at any moment from invoke to return; one without an answer at any later
 *  moment, or never. */
export interface Call {
  readonly client: string;
  readonly key: string;
  readonly op: Op;
  readonly invokeMs: number;
  /** Infinity while, or if, no answer came. */
  returnMs: number;
  /** The value read, or whether the write took effect; undefined if unknown. */
  result: number | boolean | undefined;
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

  byKey(): Map<string, Call[]> {
    const groups = new Map<string, Call[]>();
    for (const call of this.#calls) {
      const group = groups.get(call.key);
      if (group) group.push(call);
      else groups.set(call.key, [call]);
    }
    return groups;
  }
}
