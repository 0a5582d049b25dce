// Calls that this process made and that are not answered yet, one class per kind of method.

import { type Codec, type ContextInput, Failure, type Outcome } from "#proto/messages.js";
import protobuf from "protobufjs/minimal.js";
import { CuriaError, errorCodeName, errorCodes } from "../errors.ts";
import type { Connection } from "./connection.ts";
import { encodeTimeout } from "./context.ts";
import { body, type Frame } from "./frame.ts";
import type { Sequencer } from "./resend.ts";
import { StreamReader, StreamWriter } from "./stream.ts";
import type { ClientStream, Method } from "./types.ts";

/** What the client does for its calls. */
export interface CallOwner {
  /** The call is over: forget it. */
  done(call: OutgoingCall): void;
  /** The state does not know the client that a write is numbered for. True: the write is sent
   *  again as another client's. */
  numberAnew(call: OutgoingCall): boolean;
  /** An answer could not be decoded. */
  badPayload(): void;
}

export abstract class OutgoingCall {
  readonly method: Method;
  readonly context: ContextInput;
  readonly deadlineMs: number;
  protected readonly owner: CallOwner;
  /** 0: not on a connection now. */
  id = 0;
  connection: Connection | undefined;
  /** How often it was written to a connection. */
  sends = 0;
  /** Where its sequence number is from; undefined: it has none of ours. */
  sequencer: Sequencer | undefined;
  sequence = 0;
  /** The state has answered it. */
  isAnswered = false;
  #removeAbort: (() => void) | undefined;
  protected isOver = false;

  constructor(method: Method, context: ContextInput, deadlineMs: number, owner: CallOwner) {
    this.method = method;
    this.context = context;
    this.deadlineMs = deadlineMs;
    this.owner = owner;
  }

  get isDone(): boolean {
    return this.isOver;
  }

  /** Writes the request; throws when it does not encode. */
  send(connection: Connection, id: number): void {
    this.id = id;
    this.connection = connection;
    this.context.timeoutMs = this.deadlineMs === Infinity
      ? 0
      : encodeTimeout(this.deadlineMs, performance.now());
    const { method } = this;
    connection.outbox.request(id, method.name, this.context, method.request, this.request());
    this.sends++;
  }

  /** Gives up when the signal says so; false when it did already. */
  follow(signal: AbortSignal): boolean {
    const abort = () => this.abandon(new CuriaError("cancelled", "The caller gave up"));
    if (signal.aborted) {
      abort();
      return false;
    }
    signal.addEventListener("abort", abort, { once: true });
    this.#removeAbort = () => signal.removeEventListener("abort", abort);
    return true;
  }

  receive(frame: Frame): void {
    switch (frame.body) {
      case body.failure: {
        const failure = Failure.decode(frame.buffer.subarray(frame.start, frame.end));
        return this.fail(new CuriaError(errorCodeName(failure.code), failure.message));
      }
      case body.response:
        return this.onResponse(frame);
      case body.item:
        return this.onItem(frame);
      case body.end:
        return this.onEnd();
      case body.credit:
        return this.onCredit(frame.value);
    }
  }

  /** The caller, its signal or its deadline gave up: the callee is told. */
  abandon(error: CuriaError): void {
    if (this.isOver) return;
    if (this.id !== 0) this.connection?.outbox.number(this.id, body.cancel, 1);
    this.fail(error);
  }

  fail(error: CuriaError): void {
    if (this.isOver) return;
    this.finish();
    this.onFailed(error);
  }

  protected finish(): void {
    this.isOver = true;
    this.#removeAbort?.();
    this.owner.done(this);
  }

  protected decode(codec: Codec<unknown, unknown>, frame: Frame): unknown {
    try {
      return decodeRange(codec, frame.buffer, frame.start, frame.end);
    } catch (error) {
      this.owner.badPayload();
      const reason = error instanceof Error ? error.message : String(error);
      this.abandon(
        new CuriaError("internal", `The answer to ${this.method.name} is malformed: ${reason}`),
      );
      return undefined;
    }
  }

  protected abstract request(): unknown;
  protected abstract onFailed(error: CuriaError): void;
  protected onResponse(_frame: Frame): void {}
  protected onItem(_frame: Frame): void {}
  protected onEnd(): void {}
  protected onCredit(_bytes: number): void {}
}

// One reader serves all messages of a chunk.
let reader = protobuf.Reader.create(new Uint8Array(0));

export function decodeRange(
  codec: Codec<unknown, unknown>,
  buffer: Uint8Array,
  start: number,
  end: number,
): unknown {
  if (reader.buf !== buffer) reader = protobuf.Reader.create(buffer);
  reader.pos = start;
  reader.len = buffer.length;
  return codec.decode(reader, end - start);
}

export class UnaryCall extends OutgoingCall {
  readonly #message: unknown;
  readonly #resolve: (message: unknown) => void;
  readonly #reject: (error: CuriaError) => void;
  /** A long answer comes in pieces before its last one. */
  #pieces: Uint8Array[] | undefined;

  constructor(
    method: Method,
    context: ContextInput,
    deadlineMs: number,
    owner: CallOwner,
    message: unknown,
    resolve: (message: unknown) => void,
    reject: (error: CuriaError) => void,
  ) {
    super(method, context, deadlineMs, owner);
    this.#message = message;
    this.#resolve = resolve;
    this.#reject = reject;
  }

  override send(connection: Connection, id: number): void {
    this.#pieces = undefined;
    super.send(connection, id);
  }

  protected override request(): unknown {
    return this.#message;
  }

  protected override onItem(frame: Frame): void {
    (this.#pieces ??= []).push(frame.buffer.slice(frame.start, frame.end));
  }

  protected override onResponse(frame: Frame): void {
    if (this.#pieces !== undefined) {
      this.onItem(frame);
      frame.buffer = Buffer.concat(this.#pieces);
      frame.start = 0;
      frame.end = frame.buffer.length;
    }
    const message = this.decode(this.method.response, frame);
    if (this.isOver) return;
    if (this.sequencer !== undefined) {
      const isForgotten = (message as Partial<Outcome>).errorCode === errorCodes["outcome-unknown"];
      if (isForgotten && this.owner.numberAnew(this)) return;
      this.isAnswered = !isForgotten;
    }
    this.finish();
    this.#resolve(message);
  }

  protected override onFailed(error: CuriaError): void {
    this.#reject(error);
  }
}

/** A server stream as the client holds it. */
export class StreamCall extends OutgoingCall {
  readonly reader: StreamReader;
  readonly #message: unknown;

  constructor(
    method: Method,
    context: ContextInput,
    deadlineMs: number,
    owner: CallOwner,
    message: unknown,
  ) {
    super(method, context, deadlineMs, owner);
    this.#message = message;
    this.reader = new StreamReader(
      (bytes) => {
        if (!this.isOver && this.id !== 0) {
          this.connection?.outbox.number(this.id, body.credit, bytes);
        }
      },
      () => this.abandon(new CuriaError("cancelled", "The stream was cancelled")),
    );
  }

  protected override request(): unknown {
    return this.#message;
  }

  protected override onItem(frame: Frame): void {
    const item = this.decode(this.method.response, frame);
    if (!this.isOver) this.reader.push(item, frame.end - frame.start);
  }

  protected override onEnd(): void {
    this.finish();
    this.reader.finish(undefined);
  }

  protected override onFailed(error: CuriaError): void {
    this.reader.finish(error);
  }
}

/** A client stream as the client holds it: items go up, one answer comes back. */
export class UploadCall extends OutgoingCall {
  readonly writer: StreamWriter;
  readonly #answer = Promise.withResolvers<unknown>();

  constructor(method: Method, context: ContextInput, deadlineMs: number, owner: CallOwner) {
    super(method, context, deadlineMs, owner);
    this.writer = new StreamWriter(method.request, () => {});
    // Who only writes need not handle the answer's failure; onClose tells of it.
    this.#answer.promise.catch(() => {});
  }

  get stream(): ClientStream<unknown, unknown> {
    return Object.assign(this.writer, {
      answer: this.#answer.promise,
      cancel: () => this.abandon(new CuriaError("cancelled", "The stream was cancelled")),
    });
  }

  override send(connection: Connection, id: number): void {
    super.send(connection, id);
    this.writer.attach(connection, id);
  }

  protected override request(): unknown {
    return {};
  }

  protected override onCredit(bytes: number): void {
    this.writer.grant(bytes);
  }

  protected override onResponse(frame: Frame): void {
    const message = this.decode(this.method.response, frame);
    if (this.isOver) return;
    this.finish();
    this.writer.close();
    this.#answer.resolve(message);
  }

  protected override onFailed(error: CuriaError): void {
    this.writer.close();
    this.#answer.reject(error);
  }
}
