// The called side: accepts connections, checks who may call what, and hands calls to handlers, or
// on to another daemon.

import type { Hello } from "#proto/messages.js";
import { CuriaError, type ErrorCode } from "../errors.ts";
import { Connection, type ConnectionOwner, type ConnectionSettings } from "./connection.ts";
import { lessTrusted, readContext } from "./context.ts";
import { newCounts, silentLog } from "./counts.ts";
import { Deadlines } from "./deadline.ts";
import { forwardCall, rawMethod, type Route } from "./forward.ts";
import { body, type Frame, RequestParts } from "./frame.ts";
import { type CallHost, type Calls, IncomingCall } from "./incoming.ts";
import { decodeRange } from "./outgoing.ts";
import { type BusServerOptions, frameMaxDefault, queuedMaxDefault } from "./options.ts";
import { knownMethod } from "./registry.ts";
import { listenUnix } from "./socket-file.ts";
import { type Listener, plainTransport } from "./transport.ts";
import {
  type Address,
  type BusCounts,
  type BusLog,
  type Call,
  type CallerClass,
  type Handlers,
  type Method,
  type Service,
} from "./types.ts";

export type { BusServerOptions } from "./options.ts";

// deno-lint-ignore no-explicit-any
type AnyHandler = (...parts: any[]) => unknown;
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
  readonly #served = new Map<string, { method: Method; handler: AnyHandler }>();
  readonly #connections = new Map<Connection, Calls>();
  readonly #remote = new WeakSet<Connection>();
  readonly #listeners: Listener[] = [];
  readonly #parts = new RequestParts();
  readonly #deadlines = new Deadlines((nowMs) => this.#expire(nowMs));
  readonly #host: CallHost;
  readonly #queuedMax: number;
  readonly #callsMax: number;

  constructor(options: BusServerOptions) {
    this.#options = options;
    this.counts = options.counts ?? newCounts();
    this.#log = options.log ?? silentLog;
    this.#host = { counts: this.counts, log: this.#log };
    this.#queuedMax = options.queuedMax ?? queuedMaxDefault;
    this.#callsMax = options.callsMax ?? defaultCallsMax;
  }

  serve<S extends Service>(service: S, handlers: Handlers<S>): void {
    for (const [key, handler] of Object.entries(handlers)) {
      const method = service.methods[key];
      if (method === undefined) throw new Error(`${service.name} has no method ${key}`);
      if (handler === undefined) continue;
      this.#served.set(method.name, { method, handler: handler as AnyHandler });
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
      frameMax: this.#options.frameMax ?? frameMaxDefault,
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

  /** No new connections or calls; those under way get `graceMs` to end, then everything closes. */
  async stop(graceMs = 1_000): Promise<void> {
    for (const listener of this.#listeners.splice(0)) listener.close();
    const leaving = new CuriaError("unavailable", `${this.#options.identity.daemon} is stopping`);
    const endMs = performance.now() + graceMs;
    for (const calls of this.#connections.values()) {
      for (const call of calls.values()) {
        if (call.method.kind !== "unary") call.fail(leaving);
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
    for (const call of calls?.values() ?? []) call.cancel();
  }

  frame(connection: Connection, frame: Frame): void {
    if (frame.body === body.request) return this.#receive(connection, frame);
    const call = this.#connections.get(connection)?.get(frame.call);
    // Frames of a call that has just ended are late, not wrong.
    if (call === undefined) return;
    switch (frame.body) {
      case body.cancel:
        return call.cancel();
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
    const served = this.#served.get(parts.method);
    const method = served?.method ?? knownMethod(parts.method);
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
      const call = new IncomingCall(id, method, context, caller, connection, calls, this.#host);
      const route = this.route?.(method, call);
      if (route !== undefined) {
        this.#forward(call, route, buffer.subarray(parts.payloadStart, parts.payloadEnd));
      } else if (served === undefined) {
        const { daemon } = this.#options.identity;
        this.#refuse(connection, id, "unimplemented", `${daemon} does not serve ${method.name}`);
      } else if (this.#isAllowed(call)) {
        this.#dispatch(call, served.handler, buffer, parts.payloadStart, parts.payloadEnd);
      }
    } catch (error) {
      if (error instanceof CuriaError) {
        return this.#refuse(connection, id, error.code, error.message);
      }
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
    if (error !== undefined) call.fail(error);
    return error === undefined;
  }

  #dispatch(
    call: IncomingCall,
    handler: AnyHandler,
    buffer: Uint8Array,
    start: number,
    end: number,
  ): void {
    const { method } = call;
    if (method.kind === "client-stream") {
      const reader = call.openReader();
      return this.#runStream(call, () => handler(reader, call));
    }
    const request = decodeRange(method.request, buffer, start, end);
    if (method.kind === "server-stream") {
      const writer = call.openWriter();
      return this.#runStream(call, () => handler(request, call, writer));
    }
    let answer: unknown;
    try {
      answer = handler(request, call);
    } catch (error) {
      return call.fail(error);
    }
    if (answer instanceof Promise) {
      call.keep();
      this.#watchDeadline(call);
      answer.then((message) => call.answer(message), (error) => call.fail(error));
    } else call.answer(answer);
  }

  #runStream(call: IncomingCall, handle: () => unknown): void {
    call.keep();
    this.#watchDeadline(call);
    const isUpload = call.method.kind === "client-stream";
    const answered = (message: unknown) => isUpload && call.answer(message);
    try {
      const answer = handle();
      if (answer instanceof Promise) answer.then(answered, (error) => call.fail(error));
      else answered(answer);
    } catch (error) {
      call.fail(error);
    }
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
      call.fail(refusal);
      reader.finish(refusal);
    }
  }

  #forward(call: IncomingCall, route: ReturnType<Route>, payload: Uint8Array): void {
    this.counts.forwarded++;
    const { method } = call;
    call.method = rawMethod(method);
    if (method.kind === "client-stream") call.openReader();
    call.keep();
    this.#watchDeadline(call);
    forwardCall(call, route!, payload, () => this.route?.(method, call));
  }

  #refuse(connection: Connection, id: number, code: ErrorCode, message: string): void {
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
        if (call.deadlineMs <= nowMs) call.cancel();
        else if (call.deadlineMs < nextMs) nextMs = call.deadlineMs;
      }
    }
    return nextMs;
  }
}
