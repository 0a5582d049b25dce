// What leaves a connection: all frames of one turn of the event loop go out in one write, and what
// the socket did not take waits for its drain.

import { type Codec, Context, type ContextInput, Failure } from "#proto/messages.js";
import protobuf from "protobufjs/minimal.js";
import { CuriaError, type ErrorCode, errorCodes } from "../errors.ts";
import { body, lengthBytes } from "./frame.ts";
import { EncodedMessage } from "./types.ts";

/** Parts of protobufjs's Writer that its types leave out; its version is pinned. */
interface OpenWriter {
  buf: Uint8Array;
  pos: number;
  states: number[] | null;
  _reserve(bytes: number): void;
}
type Writer = ReturnType<typeof protobuf.Writer.create> & OpenWriter;

/** A message before it is encoded, or after. */
export interface Payload {
  codec: Codec<unknown, unknown>;
  message: unknown;
}

const keptBytes = 1024 * 1024;

export class Outbox {
  readonly #frameMax: number;
  /** Takes bytes; how many it took, or -1 when the socket is closed. */
  readonly #send: (buffer: Uint8Array, offset: number, length: number) => number;
  #writer = protobuf.Writer.create() as Writer;
  #sent = 0;
  #isScheduled = false;
  #isBlocked = true;
  #isClosed = false;
  readonly #counts: { bytesOut: number };

  constructor(
    frameMax: number,
    counts: { bytesOut: number },
    send: (buffer: Uint8Array, offset: number, length: number) => number,
  ) {
    this.#counts = counts;
    this.#frameMax = frameMax;
    this.#send = send;
  }

  get queuedBytes(): number {
    return this.#writer.pos - this.#sent;
  }

  request(
    call: number,
    method: string,
    context: ContextInput,
    codec: Codec<unknown, unknown>,
    message: unknown,
  ): void {
    const start = this.#begin(call);
    const w = this.#writer;
    try {
      w.uint32(body.request * 8 + 2).fork().uint32(10).string(method).uint32(18).fork();
      Context.encode(context, w);
      w.ldelim();
      this.#payload(26, codec, message);
      w.ldelim();
    } catch (error) {
      throw this.#rollBack(start, error);
    }
    this.#finish(start);
  }

  /** A response or an item; returns the size of the encoded message. */
  message(call: number, kind: number, codec: Codec<unknown, unknown>, message: unknown): number {
    const start = this.#begin(call);
    let size = 0;
    try {
      size = this.#payload(kind * 8 + 2, codec, message);
    } catch (error) {
      throw this.#rollBack(start, error);
    }
    this.#finish(start);
    return size;
  }

  bytes(call: number, kind: number, bytes: Uint8Array): void {
    const start = this.#begin(call);
    this.#writer.uint32(kind * 8 + 2).bytes(bytes);
    this.#finish(start);
  }

  failure(call: number, code: ErrorCode, message: string): void {
    const start = this.#begin(call);
    const w = this.#writer;
    w.uint32(body.failure * 8 + 2).fork();
    Failure.encode({ code: errorCodes[code], message }, w);
    w.ldelim();
    this.#finish(start);
  }

  /** end, cancel, credit, ping, pong. */
  number(call: number, kind: number, value: number): void {
    const start = this.#begin(call);
    this.#writer.uint32(kind * 8).uint32(value);
    this.#finish(start);
  }

  /** The socket takes bytes: at the open and at each drain. */
  unblock(): void {
    this.#isBlocked = false;
    this.flush();
  }

  close(): void {
    this.#isClosed = true;
    this.#writer = protobuf.Writer.create() as Writer;
    this.#sent = 0;
  }

  flush(): void {
    this.#isScheduled = false;
    if (this.#isBlocked || this.#isClosed) return;
    const w = this.#writer;
    while (this.#sent < w.pos) {
      const taken = this.#send(w.buf, this.#sent, w.pos - this.#sent);
      if (taken <= 0) {
        this.#isBlocked = true;
        return;
      }
      this.#sent += taken;
      this.#counts.bytesOut += taken;
      if (this.#sent < w.pos) {
        this.#isBlocked = true;
        return;
      }
    }
    this.#sent = 0;
    if (w.buf.length > keptBytes) this.#writer = protobuf.Writer.create() as Writer;
    else w.pos = 0;
  }

  #begin(call: number): number {
    const w = this.#writer;
    // What was sent of a blocked outbox is cut off once it is the greater part.
    if (this.#sent > keptBytes && this.#sent > w.pos - this.#sent) {
      w.buf.copyWithin(0, this.#sent, w.pos);
      w.pos -= this.#sent;
      this.#sent = 0;
    }
    const start = w.pos;
    w._reserve(lengthBytes);
    w.pos += lengthBytes;
    if (call !== 0) w.uint32(8).uint32(call);
    return start;
  }

  #payload(tag: number, codec: Codec<unknown, unknown>, message: unknown): number {
    const w = this.#writer;
    if (message instanceof EncodedMessage) {
      w.uint32(tag).bytes(message.bytes);
      return message.bytes.length;
    }
    w.uint32(tag);
    const lengthAt = w.pos;
    w.fork();
    codec.encode(message, w);
    const size = w.pos - lengthAt - 1;
    w.ldelim();
    return size;
  }

  #finish(start: number): void {
    const w = this.#writer;
    if (this.#isClosed) {
      w.pos = start;
      return;
    }
    const size = w.pos - start - lengthBytes;
    if (size > this.#frameMax) {
      w.pos = start;
      throw new CuriaError(
        "invalid-argument",
        `Expected a bus message of at most ${this.#frameMax} bytes but got ${size}`,
      );
    }
    const buf = w.buf;
    buf[start] = size >>> 24;
    buf[start + 1] = size >>> 16;
    buf[start + 2] = size >>> 8;
    buf[start + 3] = size;
    if (!this.#isScheduled) {
      this.#isScheduled = true;
      queueMicrotask(this.#flushLater);
    }
  }

  /** A message that does not encode leaves no half frame behind. */
  #rollBack(start: number, error: unknown): unknown {
    this.#writer.pos = start;
    this.#writer.states = null;
    return error;
  }

  // Answers of one read resolve many promises; their callers' next calls are made some microtasks
  // later and shall leave in the same write.
  readonly #flushLater = () => queueMicrotask(this.#flushNow);
  readonly #flushNow = () => this.flush();
}
