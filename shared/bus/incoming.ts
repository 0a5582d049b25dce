// One call that arrived, as its handler sees it.

import type { Connection } from "./connection.ts";
import type { StreamReader, StreamWriter } from "./stream.ts";
import type { Call, CallContext, CallerClass, Method } from "./types.ts";

export class IncomingCall implements Call {
  readonly id: number;
  /** The raw one while the call is passed on. */
  method: Method;
  readonly context: CallContext;
  readonly caller: CallerClass;
  readonly deadlineMs: number;
  readonly connection: Connection;
  isCancelled = false;
  /** Answered, failed or cancelled: later answers of the handler are dropped. */
  isOver = false;
  /** The writing end of a server stream. */
  writer: StreamWriter | undefined;
  /** The reading end of a client stream. */
  reader: StreamReader | undefined;
  #abort: AbortController | undefined;
  #listeners: (() => void)[] | undefined;

  constructor(
    id: number,
    method: Method,
    context: CallContext,
    caller: CallerClass,
    connection: Connection,
  ) {
    this.id = id;
    this.method = method;
    this.context = context;
    this.caller = caller;
    this.connection = connection;
    this.deadlineMs = context.timeoutMs === 0 ? Infinity : performance.now() + context.timeoutMs;
  }

  get signal(): AbortSignal {
    if (this.#abort === undefined) {
      this.#abort = new AbortController();
      if (this.isCancelled) this.#abort.abort();
    }
    return this.#abort.signal;
  }

  onCancel(listener: () => void): void {
    if (this.isCancelled) listener();
    else (this.#listeners ??= []).push(listener);
  }

  cancel(): void {
    if (this.isCancelled) return;
    this.isCancelled = true;
    this.isOver = true;
    this.#abort?.abort();
    for (const listener of this.#listeners ?? []) listener();
    this.#listeners = undefined;
  }
}
