// The calling side: one multiplexed connection to a daemon, made when first needed, made again with
// backoff, and what is unanswered then sent again as far as its method allows.

import type { ContextInput, Hello } from "#proto/messages.js";
import { CuriaError } from "../errors.ts";
import { Connection, type ConnectionOwner, type ConnectionSettings } from "./connection.ts";
import { deadlineOf, outgoingContext, unaryTimeoutMs } from "./context.ts";
import { newCounts, silentLog } from "./counts.ts";
import { Deadlines } from "./deadline.ts";
import { Dialer } from "./dialer.ts";
import type { Frame } from "./frame.ts";
import { type CallOwner, OutgoingCall, StreamCall, UnaryCall, UploadCall } from "./outgoing.ts";
import { processSequencer, type Sequencer } from "./resend.ts";
import { plainTransport, type Transport } from "./transport.ts";
import type {
  Address,
  BusCounts,
  BusLog,
  CallerClass,
  CallOptions,
  Client,
  Identity,
  Method,
  Service,
} from "./types.ts";

export interface BusClientOptions {
  /** Tried in order; the client returns to an earlier one as soon as that answers again. */
  addresses: Address[];
  /** The daemon expected there, for messages and logs. */
  daemon: string;
  identity: Identity;
  log?: BusLog;
  counts?: BusCounts;
  transport?: Transport;
  sequencer?: Sequencer;
  frameMax?: number;
  /** Bytes that may wait for the socket before calls fail with `overloaded`. */
  queuedMax?: number;
  /** Calls that may wait for a connection. */
  waitingMax?: number;
  backoffMs?: { first: number; most: number };
  pingIntervalMs?: number;
  /** False: a broken connection fails every call on it; the owner decides what to send again. */
  resends?: boolean;
}

const streamConnectMs = 10_000;

export class BusClient implements ConnectionOwner, CallOwner {
  readonly daemon: string;
  readonly counts: BusCounts;
  onConnected: (() => void) | undefined;
  onDisconnected: (() => void) | undefined;
  readonly #log: BusLog;
  readonly #dialer: Dialer;
  readonly #resends: boolean;
  readonly #queuedMax: number;
  readonly #waitingMax: number;
  readonly #deadlines: Deadlines;
  readonly #clients = new Map<Service, unknown>();
  #sequencer: Sequencer | undefined;
  #current: Connection | undefined;
  /** Calls by connection: after a return to an earlier address the old one lives until it is idle. */
  readonly #calls = new Map<Connection, Map<number, OutgoingCall>>();
  readonly #waiting = new Set<OutgoingCall>();
  #lastCall = 0;
  #isClosed = false;

  constructor(options: BusClientOptions) {
    this.daemon = options.daemon;
    this.counts = options.counts ?? newCounts();
    this.#log = options.log ?? silentLog;
    this.#resends = options.resends ?? true;
    this.#queuedMax = options.queuedMax ?? 64 * 1024 * 1024;
    this.#waitingMax = options.waitingMax ?? 20_000;
    this.#sequencer = options.sequencer;
    this.#deadlines = new Deadlines((nowMs) => this.#expire(nowMs));
    const settings: ConnectionSettings = {
      identity: options.identity,
      purpose: "bus",
      log: this.#log,
      counts: this.counts,
      frameMax: options.frameMax ?? 16 * 1024 * 1024,
      pingIntervalMs: options.pingIntervalMs ??
        (options.addresses.some((address) => "host" in address) ? 5_000 : 0),
    };
    this.#dialer = new Dialer({
      addresses: options.addresses,
      transport: options.transport ?? plainTransport,
      backoffMs: options.backoffMs,
      open: (wire) => new Connection(wire, this, settings),
      connected: (connection) => this.#use(connection),
      isNeeded: () => this.#waiting.size > 0 || this.#current !== undefined,
    });
  }

  get isConnected(): boolean {
    return this.#current !== undefined;
  }

  /** Calls made and not answered. */
  get outstanding(): number {
    let count = this.#waiting.size;
    for (const calls of this.#calls.values()) count += calls.size;
    return count;
  }

  /** Typed methods of a service that the daemon serves. */
  of<S extends Service>(service: S): Client<S> {
    const known = this.#clients.get(service);
    if (known !== undefined) return known as Client<S>;
    const client = Object.fromEntries(
      Object.entries(service.methods).map(([key, method]) => [key, this.#methodOf(method)]),
    );
    this.#clients.set(service, client);
    return client as Client<S>;
  }

  /** Opens the connection before the first call needs it. */
  connect(): void {
    if (!this.#isClosed && this.#current === undefined) this.#dialer.dial();
  }

  close(): void {
    this.#isClosed = true;
    this.#dialer.close();
    this.#deadlines.stop();
    const error = new CuriaError("unavailable", `The connection to ${this.daemon} was closed`);
    for (const call of [...this.#waiting]) call.fail(error);
    for (const [connection, calls] of [...this.#calls]) {
      for (const call of [...calls.values()]) call.fail(error);
      connection.close();
    }
  }

  // ---- calls, made from a method and a context as they are (forward.ts uses these too)

  unary(
    method: Method,
    message: unknown,
    context: ContextInput,
    deadlineMs: number,
    signal?: AbortSignal,
  ): Promise<unknown> {
    return new Promise((resolve, reject) => {
      this.unaryCall(method, message, context, deadlineMs, resolve, reject, signal);
    });
  }

  unaryCall(
    method: Method,
    message: unknown,
    context: ContextInput,
    deadlineMs: number,
    resolve: (message: unknown) => void,
    reject: (error: CuriaError) => void,
    signal?: AbortSignal,
  ): UnaryCall {
    const call = new UnaryCall(method, context, deadlineMs, this, message, resolve, reject);
    this.#start(call, signal);
    return call;
  }

  serverStream(
    method: Method,
    message: unknown,
    context: ContextInput,
    deadlineMs: number,
    signal?: AbortSignal,
  ): StreamCall {
    const call = new StreamCall(method, context, deadlineMs, this, message);
    this.#start(call, signal);
    return call;
  }

  clientStream(
    method: Method,
    context: ContextInput,
    deadlineMs: number,
    signal?: AbortSignal,
  ): UploadCall {
    const call = new UploadCall(method, context, deadlineMs, this);
    this.#start(call, signal);
    return call;
  }

  #methodOf(method: Method): unknown {
    switch (method.kind) {
      case "unary":
        return (message: unknown, options?: CallOptions) =>
          this.unary(
            method,
            message,
            outgoingContext(options),
            deadlineOf(options, unaryTimeoutMs, performance.now()),
            options?.signal,
          );
      case "server-stream":
        return (message: unknown, options?: CallOptions) =>
          this.serverStream(
            method,
            message,
            outgoingContext(options),
            deadlineOf(options, 0, performance.now()),
            options?.signal,
          ).reader;
      case "client-stream":
        return (options?: CallOptions) =>
          this.clientStream(
            method,
            outgoingContext(options),
            deadlineOf(options, 0, performance.now()),
            options?.signal,
          ).stream;
    }
  }

  #start(call: OutgoingCall, signal: AbortSignal | undefined): void {
    this.counts.calls++;
    if (this.#isClosed) {
      return call.fail(new CuriaError("unavailable", `The client of ${this.daemon} is closed`));
    }
    if (signal !== undefined && !this.#follow(call, signal)) return;
    if (call.method.resend === "sequenced" && !call.context.client) {
      this.#sequencer ??= processSequencer();
      call.sequence = this.#sequencer.assign(call.context);
    }
    if (this.#current !== undefined) this.#send(call, this.#current);
    else this.#wait(call);
    if (call.isDone) return;
    if (call.deadlineMs !== Infinity) this.#deadlines.watch(call.deadlineMs, performance.now());
  }

  #follow(call: OutgoingCall, signal: AbortSignal): boolean {
    const abort = () => call.abandon(new CuriaError("cancelled", "The caller gave up"));
    if (signal.aborted) {
      abort();
      return false;
    }
    signal.addEventListener("abort", abort, { once: true });
    call.removeAbort = () => signal.removeEventListener("abort", abort);
    return true;
  }

  #wait(call: OutgoingCall): void {
    if (this.#waiting.size >= this.#waitingMax) {
      this.counts.overloads++;
      return call.fail(
        new CuriaError("overloaded", `Too many calls wait for a connection to ${this.daemon}`),
      );
    }
    this.#waiting.add(call);
    // A stream without a deadline must not wait for ever for a daemon that is not there.
    if (call.deadlineMs === Infinity) this.#giveUpLater(call);
    this.#dialer.dial();
  }

  #giveUpLater(call: OutgoingCall): void {
    const timer = setTimeout(() => {
      if (this.#waiting.has(call)) call.fail(this.#unreachable());
    }, streamConnectMs);
    timer.unref();
  }

  #unreachable(): CuriaError {
    return new CuriaError(
      "unavailable",
      `Cannot reach ${this.daemon}: ${this.#dialer.lastProblem}`,
    );
  }

  #send(call: OutgoingCall, connection: Connection): void {
    if (connection.queuedBytes > this.#queuedMax) {
      this.counts.overloads++;
      return call.fail(
        new CuriaError("overloaded", `${this.daemon} does not keep up with its calls`),
      );
    }
    const calls = this.#calls.get(connection)!;
    do this.#lastCall = this.#lastCall >= 0xffff_ffff ? 1 : this.#lastCall + 1; while (
      calls.has(this.#lastCall)
    );
    try {
      call.send(connection, this.#lastCall);
    } catch (error) {
      call.id = 0;
      const reason = error instanceof Error ? error.message : String(error);
      return call.fail(
        error instanceof CuriaError
          ? error
          : new CuriaError("invalid-argument", `${call.method.name}: ${reason}`),
      );
    }
    calls.set(this.#lastCall, call);
  }

  #expire(nowMs: number): number {
    let nextMs = Infinity;
    const look = (call: OutgoingCall) => {
      if (call.deadlineMs > nowMs) {
        if (call.deadlineMs < nextMs) nextMs = call.deadlineMs;
      } else if (!call.wasSent) call.fail(this.#unreachable());
      else {
        call.abandon(
          new CuriaError(
            "deadline-exceeded",
            `${call.method.name} took longer than its caller waits`,
          ),
        );
      }
    };
    for (const call of this.#waiting) look(call);
    for (const calls of this.#calls.values()) for (const call of calls.values()) look(call);
    return nextMs;
  }

  // ---- what calls tell

  done(call: OutgoingCall): void {
    this.#waiting.delete(call);
    if (call.sequence !== 0) this.#sequencer!.finish(call.sequence);
    const { connection } = call;
    if (connection === undefined) return;
    const calls = this.#calls.get(connection);
    if (calls?.get(call.id) === call) calls.delete(call.id);
    if (calls?.size === 0 && connection !== this.#current) connection.close();
  }

  badPayload(): void {
    this.counts.badPayloads++;
  }

  // ---- what connections tell

  hello(connection: Connection, _hello: Hello): CallerClass {
    return connection.address === "" ? "local" : "server";
  }

  frame(connection: Connection, frame: Frame): void {
    // An answer that crossed our cancel on the way is not an error.
    this.#calls.get(connection)?.get(frame.call)?.receive(frame);
  }

  closed(connection: Connection, refusal: CuriaError | undefined): void {
    const calls = this.#calls.get(connection);
    this.#calls.delete(connection);
    if (connection === this.#current) {
      this.#current = undefined;
      this.onDisconnected?.();
    }
    this.#dialer.lost(connection, refusal);
    const error = refusal ??
      new CuriaError("unavailable", `The connection to ${this.daemon} broke`);
    for (const call of calls?.values() ?? []) {
      call.id = 0;
      call.connection = undefined;
      const mayResend = this.#resends && refusal === undefined && call.method.kind === "unary" &&
        call.method.resend !== "never";
      if (!mayResend || this.#isClosed) call.fail(error);
      else {
        this.counts.resends++;
        this.#wait(call);
      }
    }
    if (refusal !== undefined) { for (const call of [...this.#waiting]) call.fail(refusal); }
  }

  #use(connection: Connection): void {
    const previous = this.#current;
    this.#current = connection;
    this.#calls.set(connection, new Map());
    this.counts.reconnects++;
    const waiting = [...this.#waiting];
    this.#waiting.clear();
    for (const call of waiting) this.#send(call, connection);
    if (previous !== undefined) this.#leave(previous);
    this.onConnected?.();
  }

  /** Back at an earlier address: answers still come on the old connection, streams open anew. */
  #leave(previous: Connection): void {
    const calls = this.#calls.get(previous);
    const error = new CuriaError("unavailable", `${this.daemon} is back: streams move to it`);
    for (const call of [...calls?.values() ?? []]) {
      if (call.method.kind !== "unary") call.abandon(error);
    }
    if (calls?.size === 0) previous.close();
  }
}
