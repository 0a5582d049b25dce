// The unanswered calls of a client: those that wait for a connection, and those on each one.

import type { Connection } from "./connection.ts";
import type { OutgoingCall } from "./outgoing.ts";

export class PendingCalls {
  readonly waiting = new Set<OutgoingCall>();
  /** After a return to an earlier address the old connection lives on until it is idle. */
  readonly #byConnection = new Map<Connection, Map<number, OutgoingCall>>();
  #lastId = 0;

  get count(): number {
    let count = this.waiting.size;
    for (const calls of this.#byConnection.values()) count += calls.size;
    return count;
  }

  get connections(): Connection[] {
    return [...this.#byConnection.keys()];
  }

  on(connection: Connection): Map<number, OutgoingCall> {
    let calls = this.#byConnection.get(connection);
    if (calls === undefined) this.#byConnection.set(connection, calls = new Map());
    return calls;
  }

  has(connection: Connection): boolean {
    return this.#byConnection.has(connection);
  }

  find(connection: Connection, id: number): OutgoingCall | undefined {
    return this.#byConnection.get(connection)?.get(id);
  }

  /** A number that no call of the connection has; 0 is the connection itself. */
  nextId(calls: Map<number, OutgoingCall>): number {
    do this.#lastId = this.#lastId >= 0xffff_ffff ? 1 : this.#lastId + 1; while (
      calls.has(this.#lastId)
    );
    return this.#lastId;
  }

  /** Forgets a call; true when its connection has none left. */
  remove(call: OutgoingCall): boolean {
    this.waiting.delete(call);
    if (call.connection === undefined) return false;
    const calls = this.#byConnection.get(call.connection);
    if (calls?.get(call.id) !== call) return false;
    calls.delete(call.id);
    return calls.size === 0;
  }

  /** Forgets a connection and returns the calls that were on it. */
  take(connection: Connection): OutgoingCall[] {
    const calls = [...this.#byConnection.get(connection)?.values() ?? []];
    this.#byConnection.delete(connection);
    for (const call of calls) {
      call.id = 0;
      call.connection = undefined;
    }
    return calls;
  }

  takeWaiting(): OutgoingCall[] {
    const calls = [...this.waiting];
    this.waiting.clear();
    return calls;
  }

  /** Hands over what is due and returns the earliest deadline that is left. */
  expire(nowMs: number, due: (call: OutgoingCall) => void): number {
    let nextMs = Infinity;
    const look = (call: OutgoingCall) => {
      if (call.deadlineMs <= nowMs) due(call);
      else if (call.deadlineMs < nextMs) nextMs = call.deadlineMs;
    };
    for (const call of this.waiting) look(call);
    for (const calls of this.#byConnection.values()) for (const call of calls.values()) look(call);
    return nextMs;
  }
}
