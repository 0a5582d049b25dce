// The called side: accepts connections, checks who may call what, and hands calls to handlers, or
// on to another daemon.

import type { Hello } from "#proto/messages.js";
import { CuriaError, toCuriaError } from "../errors.ts";
import { Connection, type ConnectionOwner, type ConnectionSettings } from "./connection.ts";
import { lessTrusted, readContext } from "./context.ts";
import { newCounts, silentLog } from "./counts.ts";
import { Deadlines } from "./deadline.ts";
import { forwardCall, rawMethod, type Route } from "./forward.ts";
import { body, type Frame, RequestParts } from "./frame.ts";
import { IncomingCall } from "./incoming.ts";
import { decodeRange } from "./outgoing.ts";
import { knownMethod } from "./registry.ts";
import { listenUnix } from "./socket-file.ts";
import { StreamReader, StreamWriter } from "./stream.ts";
import { type Listener, plainTransport, type Transport } from "./transport.ts";
import {
  type Address,
  type BusCounts,
  type BusLog,
  type Call,
  type CallerClass,
  EncodedMessage,
  type Handlers,
  type Identity,
  type Method,
  type Service,
} from "./types.ts";

export interface BusServerOptions {
  identity: Identity;
  log?: BusLog;
  counts?: BusCounts;
  transport?: Transport;
  frameMax?: number;
  /** Bytes that may wait for one slow caller before its new calls fail with `overloaded`. */
  queuedMax?: number;
  /** Unanswered calls of one connection. */
  callsMax?: number;
  pingIntervalMs?: number;
}

// deno-lint-ignore no-explicit-any
type AnyHandler = (...parts: any[]) => unknown;
type Calls = Map<number, IncomingCall>;

/** A longer answer goes out in pieces of this size, so that no frame is ever too large for it. */
const pieceBytes = 1024 * 1024;
const defaultCallsMax = 65_536;

export class BusServer implements ConnectionOwner {
  readonly counts: BusCounts;
  /** Refuses a call by returning an error: the ACL point of the daemon that owns the data. */
  authorise: ((method: Method, call: Call) => CuriaError | undefined) | undefined;
  /** Where a call goes that is not for this daemon; undefined: it is for this one. */
  route: Route | undefined;
  /** What a TCP peer is. Without it: another datacenter's is `remote`, all others are `client`. */
  classify: ((hello: Hello, connection: Connection) => CallerClass) | undefined;
  readonly #options: BusServerOptions;
  readonly #log: BusLog;
  readonly #handlers = new Map<string, AnyHandler>();
  readonly #connections = new Map<Connection, Calls>();
  readonly #remote = new WeakSet<Connection>();
  readonly #listeners: Listener[] = [];
  readonly #parts = new RequestParts();
  readonly #deadlines = new Deadlines((nowMs) => this.#expire(nowMs));
  readonly #queuedMax: number;
  readonly #callsMax: number;

  constructor(options: BusServerOptions) {
    this.#options = options;
    this.counts = options.counts ?? newCounts();
    this.#log = options.log ?? silentLog;
    this.#queuedMax = options.queuedMax ?? 64 * 1024 * 1024;
    this.#callsMax = options.callsMax ?? defaultCallsMax;
  }

  serve<S extends Service>(service: S, handlers: Handlers<S>): void {
    for (const [key, handler] of Object.entries(handlers)) {
      const method = service.methods[key];
      if (method === undefined) throw new Error(`${service.name} has no method ${key}`);
      if (handler !== undefined) this.#handlers.set(method.name, handler as AnyHandler);
    }
  }

  /** Opens a socket; returns the port of a TCP address. May be called for several addresses.
   *  `isRemote`: what comes over this Unix socket comes from other nodes (through another thread). */
  async listen(address: Address, { isRemote = false } = {}): Promise<number> {
    const transport = this.#options.transport ?? plainTransport;
    const isLocal = "path" in address;
    const settings: ConnectionSettings = {
      identity: this.#options.identity,
      purpose: "bus",
      log: this.#log,
      counts: this.counts,
      frameMax: this.#options.frameMax ?? 16 * 1024 * 1024,
      pingIntervalMs: this.#options.pingIntervalMs ?? (isLocal ? 0 : 5_000),
    };
    const open = () =>
      transport.listen(address, (wire) => {
        const connection = new Connection(wire, this, settings);
        this.#connections.set(connection, new Map());
        if (isRemote || !isLocal) this.#remote.add(connection);
        return connection;
      });
    const listener = isLocal ? await listenUnix(address.path, transport, open) : open();
    this.#listeners.push(listener);
    return listener.port;
  }

  get connectionCount(): number {
    return this.#connections.size;
  }

  /** No new connections; calls under way get `graceMs` to end, then everything closes. */
  async stop(graceMs = 1_000): Promise<void> {
    for (const listener of this.#listeners.splice(0)) listener.close();
    const leaving = new CuriaError("unavailable", `${this.#options.identity.daemon} is stopping`);
    const endMs = performance.now() + graceMs;
    for (const calls of this.#connections.values()) {
      for (const call of calls.values()) {
        if (call.method.kind !== "unary") this.#fail(call, leaving);
      }
    }
    const isBusy = () => [...this.#connections.values()].some((calls) => calls.size > 0);
    while (isBusy() && performance.now() < endMs) await Bun.sleep(5);
    for (const connection of [...this.#connections.keys()]) connection.close();
    this.#deadlines.stop();
  }

  // ---- what connections tell

  hello(connection: Connection, hello: Hello): CallerClass {
    if (hello.purpose !== "bus") {
      throw new CuriaError(
        "unimplemented",
        `Expected the purpose "bus" but got "${hello.purpose}"`,
      );
    }
    if (!this.#remote.has(connection)) return "local";
    if (this.classify !== undefined) return this.classify(hello, connection);
    return hello.datacenter === this.#options.identity.datacenter ? "client" : "remote";
  }

  closed(connection: Connection): void {
    const calls = this.#connections.get(connection);
    this.#connections.delete(connection);
    for (const call of calls?.values() ?? []) this.#cancel(call);
  }

  frame(connection: Connection, frame: Frame): void {
    if (frame.body === body.request) return this.#receive(connection, frame);
    const call = this.#connections.get(connection)?.get(frame.call);
    // Frames of a call that has just ended are late, not wrong.
    if (call === undefined) return;
    switch (frame.body) {
      case body.cancel:
        return this.#cancel(call);
      case body.credit:
        return call.writer?.grant(frame.value);
      case body.item:
        return this.#receiveItem(call, frame);
      case body.end:
        return call.reader?.finish(undefined);
      case body.failure:
        return call.reader?.finish(new CuriaError("cancelled", "The caller's stream failed"));
    }
  }

  #receive(connection: Connection, frame: Frame): void {
    const parts = this.#parts;
    const { buffer, call: id } = frame;
    this.counts.calls++;
    if (!parts.read(buffer, frame.start, frame.end)) {
      return this.#refuse(connection, id, "invalid-argument", "The request is malformed");
    }
    const method = knownMethod(parts.method);
    const handler = this.#handlers.get(parts.method);
    if (method === undefined) {
      return this.#refuse(connection, id, "unimplemented", `No method ${parts.method}`);
    }
    const calls = this.#connections.get(connection)!;
    if (connection.queuedBytes > this.#queuedMax || calls.size >= this.#callsMax) {
      this.counts.overloads++;
      return this.#refuse(connection, id, "overloaded", "Too much is waiting on this connection");
    }
    try {
      const context = readContext(buffer, parts.contextStart, parts.contextEnd);
      const caller = lessTrusted(connection.caller, context.caller);
      const call = new IncomingCall(id, method, context, caller, connection);
      const route = this.route?.(method, call);
      if (route !== undefined) {
        this.#forward(calls, call, route, buffer.subarray(parts.payloadStart, parts.payloadEnd));
      } else if (handler === undefined) {
        const { daemon } = this.#options.identity;
        this.#refuse(connection, id, "unimplemented", `${daemon} does not serve ${method.name}`);
      } else if (this.#isAllowed(call)) {
        this.#dispatch(calls, call, handler, buffer, parts.payloadStart, parts.payloadEnd);
      }
    } catch (error) {
      // Context or payload: the frame was whole, so the connection is sound.
      this.counts.badPayloads++;
      const reason = error instanceof Error ? error.message : String(error);
      this.#refuse(connection, id, "invalid-argument", `${method.name}: ${reason}`);
    }
  }

  #isAllowed(call: IncomingCall): boolean {
    const { method, caller } = call;
    const error = method.callers.includes(caller)
      ? this.authorise?.(method, call)
      : new CuriaError("permission-denied", `${method.name} is not open to a ${caller} caller`);
    if (error === undefined) return true;
    this.counts.failures++;
    call.connection.outbox.failure(call.id, error.code, error.message);
    return false;
  }

  #dispatch(
    calls: Calls,
    call: IncomingCall,
    handler: AnyHandler,
    buffer: Uint8Array,
    start: number,
    end: number,
  ): void {
    const { method } = call;
    if (method.kind === "client-stream") {
      call.reader = this.#reader(call);
      calls.set(call.id, call);
      return this.#run(calls, call, () => handler(call.reader, call));
    }
    const request = decodeRange(method.request, buffer, start, end);
    if (method.kind === "server-stream") {
      const writer = call.writer = this.#writer(calls, call);
      calls.set(call.id, call);
      return this.#run(calls, call, () => handler(request, call, writer));
    }
    let answer: unknown;
    try {
      answer = handler(request, call);
    } catch (error) {
      return this.#fail(call, error);
    }
    if (answer instanceof Promise) {
      calls.set(call.id, call);
      this.#watchDeadline(call);
      this.#await(call, answer);
    } else this.#answer(call, answer);
  }

  #run(calls: Calls, call: IncomingCall, handle: () => unknown): void {
    this.#watchDeadline(call);
    let answer: unknown;
    try {
      answer = handle();
    } catch (error) {
      return this.#fail(call, error);
    }
    if (answer instanceof Promise) this.#await(call, answer);
    else if (call.method.kind === "client-stream") this.#answer(call, answer);
    else if (call.isOver) calls.delete(call.id);
  }

  #await(call: IncomingCall, answer: Promise<unknown>): void {
    answer.then(
      (message) => {
        if (call.method.kind !== "server-stream") this.#answer(call, message);
      },
      (error) => this.#fail(call, error),
    );
  }

  #reader(call: IncomingCall): StreamReader {
    const { outbox } = call.connection;
    return new StreamReader((bytes) => {
      if (!call.isOver) outbox.number(call.id, body.credit, bytes);
    }, () => {});
  }

  #writer(calls: Calls, call: IncomingCall): StreamWriter {
    const writer = new StreamWriter(call.method.response, () => {
      call.isOver = true;
      calls.delete(call.id);
    });
    writer.attach(call.connection, call.id);
    return writer;
  }

  #answer(call: IncomingCall, message: unknown): void {
    if (call.isOver) return;
    call.isOver = true;
    const { connection, method } = call;
    this.#connections.get(connection)?.delete(call.id);
    if (connection.isClosed) return;
    try {
      if (message instanceof EncodedMessage && message.bytes.length > pieceBytes) {
        this.#answerInPieces(call, message.bytes);
      } else connection.outbox.message(call.id, body.response, method.response, message);
    } catch (error) {
      // Too large for a frame, or a bug: what the handler returned does not encode.
      call.isOver = false;
      const bytes = error instanceof CuriaError && !(message instanceof EncodedMessage)
        ? method.response.encode(message).finish()
        : undefined;
      if (bytes === undefined) return this.#fail(call, error);
      call.isOver = true;
      this.#answerInPieces(call, bytes);
    }
  }

  #answerInPieces(call: IncomingCall, bytes: Uint8Array): void {
    const { outbox } = call.connection;
    let at = 0;
    for (; bytes.length - at > pieceBytes; at += pieceBytes) {
      outbox.bytes(call.id, body.item, bytes.subarray(at, at + pieceBytes));
    }
    outbox.bytes(call.id, body.response, bytes.subarray(at));
  }

  #fail(call: IncomingCall, thrown: unknown): void {
    if (call.isOver) return;
    const error = toCuriaError(thrown);
    this.counts.failures++;
    if (error.code === "internal") {
      this.#log.warn({ err: thrown, method: call.method.name }, "bus call failed");
    }
    const { writer, connection } = call;
    if (writer !== undefined) return writer.fail(error);
    call.isOver = true;
    this.#connections.get(connection)?.delete(call.id);
    if (!connection.isClosed) connection.outbox.failure(call.id, error.code, error.message);
  }

  #receiveItem(call: IncomingCall, frame: Frame): void {
    const { reader } = call;
    if (reader === undefined) return;
    try {
      const item = decodeRange(call.method.request, frame.buffer, frame.start, frame.end);
      reader.push(item, frame.end - frame.start);
    } catch (error) {
      this.counts.badPayloads++;
      const reason = error instanceof Error ? error.message : String(error);
      const refusal = new CuriaError("invalid-argument", `${call.method.name}: ${reason}`);
      this.#fail(call, refusal);
      reader.finish(refusal);
    }
  }

  #forward(calls: Calls, call: IncomingCall, route: ReturnType<Route>, payload: Uint8Array): void {
    this.counts.forwarded++;
    call.method = rawMethod(call.method);
    if (call.method.kind === "client-stream") call.reader = this.#reader(call);
    calls.set(call.id, call);
    this.#watchDeadline(call);
    forwardCall(call, route!, payload, {
      again: () => this.route?.(call.method, call),
      answer: (bytes) => this.#answer(call, new EncodedMessage(bytes)),
      fail: (error) => this.#fail(call, error),
      writer: () => this.#writer(calls, call),
    });
  }

  #refuse(
    connection: Connection,
    id: number,
    code: "invalid-argument" | "unimplemented" | "overloaded",
    message: string,
  ): void {
    this.counts.failures++;
    connection.outbox.failure(id, code, message);
    // Who goes on calling without reading the refusals is cut off.
    if (connection.queuedBytes > this.#queuedMax * 2) connection.close();
  }

  #watchDeadline(call: IncomingCall): void {
    if (call.deadlineMs === Infinity) return;
    this.#deadlines.watch(call.deadlineMs, performance.now());
  }

  #expire(nowMs: number): number {
    let nextMs = Infinity;
    for (const calls of this.#connections.values()) {
      for (const call of calls.values()) {
        // The caller has its own clock for the answer `deadline-exceeded`.
        if (call.deadlineMs <= nowMs) this.#cancel(call);
        else if (call.deadlineMs < nextMs) nextMs = call.deadlineMs;
      }
    }
    return nextMs;
  }

  #cancel(call: IncomingCall): void {
    this.#connections.get(call.connection)?.delete(call.id);
    call.cancel();
    call.writer?.close();
    call.reader?.finish(new CuriaError("cancelled", "The caller gave up"));
  }
}
