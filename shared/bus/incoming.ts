// One call that arrived: what its handler sees of it, and how it is answered.

import { CuriaError, toCuriaError } from "../errors.ts";
import type { Connection } from "./connection.ts";
import { body } from "./frame.ts";
import { StreamReader, StreamWriter } from "./stream.ts";
import {
  type BusCounts,
  type BusLog,
  type Call,
  type CallContext,
  type CallerClass,
  EncodedMessage,
  type Method,
} from "./types.ts";

/** Of the server that the call came to. */
export interface CallHost {
  counts: BusCounts;
  log: BusLog;
}

export type Calls = Map<number, IncomingCall>;

/** A longer answer goes out in pieces of this size, so that no frame is ever too large for it. */
const pieceBytes = 1024 * 1024;

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
  readonly #host: CallHost;
  /** The connection's calls that are not answered at once. */
  readonly #calls: Calls;
  #abort: AbortController | undefined;
  #listeners: (() => void)[] | undefined;

  constructor(
    id: number,
    method: Method,
    context: CallContext,
    caller: CallerClass,
    connection: Connection,
    calls: Calls,
    host: CallHost,
  ) {
    this.id = id;
    this.method = method;
    this.context = context;
    this.caller = caller;
    this.connection = connection;
    this.#calls = calls;
    this.#host = host;
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

  /** Enters it in its connection's table: it stays open beyond this turn. */
  keep(): void {
    this.#calls.set(this.id, this);
  }

  cancel(): void {
    this.#calls.delete(this.id);
    if (this.isCancelled) return;
    this.isCancelled = true;
    this.isOver = true;
    this.#abort?.abort();
    for (const listener of this.#listeners ?? []) listener();
    this.#listeners = undefined;
    this.writer?.close();
    this.reader?.finish(new CuriaError("cancelled", "The caller gave up"));
  }

  answer(message: unknown): void {
    if (!this.#finish()) return;
    const { outbox } = this.connection;
    const codec = this.method.response;
    try {
      if (message instanceof EncodedMessage && message.bytes.length > pieceBytes) {
        return this.#answerInPieces(message.bytes);
      }
      outbox.message(this.id, body.response, codec, message);
    } catch (error) {
      // Too large for a frame, or a bug: what the handler returned does not encode.
      if (error instanceof CuriaError) this.#answerInPieces(codec.encode(message).finish());
      else this.#sendFailure(error);
    }
  }

  answerPart(bytes: Uint8Array): void {
    if (this.isOver || this.connection.isClosed) return;
    for (let at = 0; at < bytes.length; at += pieceBytes) {
      this.connection.outbox.bytes(this.id, body.item, bytes.subarray(at, at + pieceBytes));
    }
  }

  fail(error: unknown): void {
    if (this.isOver) return;
    if (this.writer !== undefined) {
      this.#count(error);
      return this.writer.fail(toCuriaError(error));
    }
    if (this.#finish()) this.#sendFailure(error);
  }

  openWriter(): StreamWriter {
    const writer = new StreamWriter(this.method.response, () => {
      this.isOver = true;
      this.#calls.delete(this.id);
    });
    writer.attach(this.connection, this.id);
    return this.writer = writer;
  }

  openReader(): StreamReader {
    const { outbox } = this.connection;
    return this.reader = new StreamReader((bytes) => {
      if (!this.isOver) outbox.number(this.id, body.credit, bytes);
    }, () => {});
  }

  #finish(): boolean {
    if (this.isOver) return false;
    this.isOver = true;
    this.#calls.delete(this.id);
    return !this.connection.isClosed;
  }

  #sendFailure(thrown: unknown): void {
    const { code, message } = this.#count(thrown);
    this.connection.outbox.failure(this.id, code, message);
  }

  #count(thrown: unknown): CuriaError {
    const error = toCuriaError(thrown);
    this.#host.counts.failures++;
    if (error.code === "internal") {
      this.#host.log.warn({ err: thrown, method: this.method.name }, "bus call failed");
    }
    return error;
  }

  #answerInPieces(bytes: Uint8Array): void {
    const { outbox } = this.connection;
    let at = 0;
    for (; bytes.length - at > pieceBytes; at += pieceBytes) {
      outbox.bytes(this.id, body.item, bytes.subarray(at, at + pieceBytes));
    }
    outbox.bytes(this.id, body.response, bytes.subarray(at));
  }
}
