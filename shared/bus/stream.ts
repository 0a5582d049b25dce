// Both ends of a stream, with flow control: the receiver grants credit in bytes, the sender keeps
// what goes beyond it. One slow reader so holds up its own stream and no other.

import type { Codec } from "#proto/messages.js";
import { CuriaError, toCuriaError } from "../errors.ts";
import type { Connection } from "./connection.ts";
import { body } from "./frame.ts";
import { EncodedMessage, type InStream, type OutStream } from "./types.ts";

/** What a sender may send before the first grant: part of the protocol. */
export const initialCreditBytes = 256 * 1024;
/** Each item costs its bytes and this, so that empty items are bounded too. Part of the protocol. */
export const itemCostBytes = 16;
/** A sender that ignores `drained` for so long is failed. */
const queuedMax = 64 * 1024 * 1024;

/** The writing end: on the server of a server stream, on the client of a client stream. */
export class StreamWriter implements OutStream<unknown> {
  #call = 0;
  readonly #codec: Codec<unknown, unknown>;
  #connection: Connection | undefined;
  #credit = initialCreditBytes;
  #queue: Uint8Array[] = [];
  #queued = 0;
  #isEnding = false;
  #isClosed = false;
  readonly #closeListeners: (() => void)[] = [];
  readonly #drainListeners: (() => void)[] = [];
  #waiting: (() => void)[] = [];
  /** Tells the call's owner that nothing more will be sent. */
  readonly #onDone: () => void;

  constructor(codec: Codec<unknown, unknown>, onDone: () => void) {
    this.#codec = codec;
    this.#onDone = onDone;
  }

  get isClosed(): boolean {
    return this.#isClosed;
  }

  get isWritable(): boolean {
    return !this.#isClosed && !this.#isEnding && this.#connection !== undefined &&
      this.#credit > 0 && this.#queue.length === 0;
  }

  get queuedBytes(): number {
    return this.#queued;
  }

  /** A client stream may be written before its connection is there. */
  attach(connection: Connection, call: number): void {
    this.#connection = connection;
    this.#call = call;
    this.#sendQueue();
  }

  write(item: unknown): boolean {
    if (this.#isClosed || this.#isEnding) return false;
    if (this.#connection !== undefined && this.#credit > 0 && this.#queue.length === 0) {
      // Credit is a promise to read; who gives it and does not read gets no more.
      if (this.#connection.queuedBytes > queuedMax) return this.#failSlow();
      const { outbox } = this.#connection;
      this.#credit -= outbox.message(this.#call, body.item, this.#codec, item) + itemCostBytes;
      return this.#credit > 0;
    }
    const bytes = item instanceof EncodedMessage ? item.bytes : this.#codec.encode(item).finish();
    this.#queue.push(bytes);
    this.#queued += bytes.length;
    return this.#queued > queuedMax ? this.#failSlow() : false;
  }

  #failSlow(): false {
    this.fail(new CuriaError("overloaded", "The stream's reader is too slow"));
    return false;
  }

  /** The receiver consumed bytes. */
  grant(bytes: number): void {
    if (this.#isClosed) return;
    this.#credit += bytes;
    this.#sendQueue();
  }

  drained(): Promise<void> {
    if (this.#isClosed || this.isWritable) return Promise.resolve();
    return new Promise((resolve) => this.#waiting.push(resolve));
  }

  onDrain(listener: () => void): void {
    this.#drainListeners.push(listener);
  }

  onClose(listener: () => void): void {
    if (this.#isClosed) listener();
    else this.#closeListeners.push(listener);
  }

  end(): void {
    if (this.#isClosed || this.#isEnding) return;
    this.#isEnding = true;
    this.#sendQueue();
  }

  fail(error: CuriaError): void {
    if (this.#isClosed) return;
    this.#connection?.outbox.failure(this.#call, error.code, error.message);
    this.#finish();
  }

  /** Cancelled by the other side, or the connection is gone: nothing more is sent. */
  close(): void {
    if (!this.#isClosed) this.#finish();
  }

  #sendQueue(): void {
    if (this.#connection === undefined) return;
    let sent = 0;
    while (sent < this.#queue.length && this.#credit > 0) {
      const bytes = this.#queue[sent++]!;
      this.#credit -= bytes.length + itemCostBytes;
      this.#queued -= bytes.length;
      try {
        this.#connection.outbox.bytes(this.#call, body.item, bytes);
      } catch (error) {
        // An item above the frame limit.
        return this.fail(toCuriaError(error));
      }
    }
    if (sent === this.#queue.length) this.#queue = [];
    else this.#queue.splice(0, sent);
    if (this.#isEnding && this.#queue.length === 0) {
      this.#connection.outbox.number(this.#call, body.end, 1);
      this.#finish();
    } else if (this.isWritable) this.#tellDrained();
  }

  #tellDrained(): void {
    const waiting = this.#waiting;
    this.#waiting = [];
    for (const resolve of waiting) resolve();
    for (const listener of this.#drainListeners) listener();
  }

  #finish(): void {
    this.#isClosed = true;
    this.#queue = [];
    this.#queued = 0;
    this.#onDone();
    for (const resolve of this.#waiting) resolve();
    this.#waiting = [];
    for (const listener of this.#closeListeners) listener();
  }
}

interface Arrived {
  item: unknown;
  bytes: number;
}

/** The reading end. What arrives before anybody reads waits here, bounded by the credit given. */
export class StreamReader implements InStream<unknown> {
  readonly #grant: (bytes: number) => void;
  readonly #onCancel: () => void;
  #arrived: Arrived[] = [];
  #consumed = 0;
  #isPaused = false;
  #ending: { error: CuriaError | undefined } | undefined;
  #isDelivered = false;
  #next: ((done: boolean) => void) | undefined;
  #itemListener: ((item: unknown) => void) | undefined;
  #endListener: (() => void) | undefined;
  #errorListener: ((error: CuriaError) => void) | undefined;

  constructor(grant: (bytes: number) => void, onCancel: () => void) {
    this.#grant = grant;
    this.#onCancel = onCancel;
  }

  get onItem(): ((item: unknown) => void) | undefined {
    return this.#itemListener;
  }

  set onItem(listener: ((item: unknown) => void) | undefined) {
    this.#itemListener = listener;
    this.#deliver();
  }

  get onEnd(): (() => void) | undefined {
    return this.#endListener;
  }

  set onEnd(listener: (() => void) | undefined) {
    this.#endListener = listener;
    this.#deliver();
  }

  get onError(): ((error: CuriaError) => void) | undefined {
    return this.#errorListener;
  }

  set onError(listener: ((error: CuriaError) => void) | undefined) {
    this.#errorListener = listener;
    this.#deliver();
  }

  /** Items that arrived and were not taken. */
  get waitingCount(): number {
    return this.#arrived.length;
  }

  pause(): void {
    this.#isPaused = true;
  }

  resume(): void {
    this.#isPaused = false;
    this.#deliver();
  }

  cancel(): void {
    if (this.#ending !== undefined) return;
    this.#arrived = [];
    this.#ending = { error: undefined };
    this.#isDelivered = true;
    this.#onCancel();
    this.#wake();
  }

  push(item: unknown, itemBytes: number): void {
    if (this.#ending !== undefined) return;
    const bytes = itemBytes + itemCostBytes;
    if (this.#itemListener !== undefined && !this.#isPaused && this.#arrived.length === 0) {
      this.#use(bytes);
      this.#itemListener(item);
      return;
    }
    this.#arrived.push({ item, bytes });
    this.#wake();
  }

  /** No more items: an end, or a failure. */
  finish(error: CuriaError | undefined): void {
    if (this.#ending !== undefined) return;
    this.#ending = { error };
    this.#deliver();
    this.#wake();
  }

  async *[Symbol.asyncIterator](): AsyncIterator<unknown> {
    try {
      while (true) {
        const next = this.#arrived.shift();
        if (next !== undefined) {
          this.#use(next.bytes);
          yield next.item;
        } else if (this.#ending !== undefined) {
          this.#isDelivered = true;
          if (this.#ending.error !== undefined) throw this.#ending.error;
          return;
        } else await new Promise<boolean>((resolve) => this.#next = resolve);
      }
    } finally {
      this.cancel();
    }
  }

  #wake(): void {
    const next = this.#next;
    this.#next = undefined;
    next?.(true);
  }

  /** Credit goes back in halves of the window, not per item. */
  #use(bytes: number): void {
    this.#consumed += bytes;
    if (this.#consumed < initialCreditBytes / 2 || this.#ending !== undefined) return;
    this.#grant(this.#consumed);
    this.#consumed = 0;
  }

  #deliver(): void {
    while (this.#itemListener !== undefined && !this.#isPaused && this.#arrived.length > 0) {
      const { item, bytes } = this.#arrived.shift()!;
      this.#use(bytes);
      this.#itemListener(item);
    }
    if (this.#ending === undefined || this.#isDelivered || this.#arrived.length > 0) return;
    const { error } = this.#ending;
    if (error === undefined ? this.#endListener === undefined : this.#errorListener === undefined) {
      return;
    }
    this.#isDelivered = true;
    if (error === undefined) this.#endListener!();
    else this.#errorListener!(error);
  }
}
