// The calling side: one multiplexed connection to a daemon, made when first needed, made again with
// backoff, and what is unanswered then sent again as far as its method allows.

import type { ContextInput, Hello } from "#proto/messages.js";
import { CuriaError, type ErrorCode } from "../errors.ts";
import { Connection, type ConnectionOwner, type ConnectionSettings } from "./connection.ts";
import { newCounts, silentLog } from "./counts.ts";
import { Deadlines } from "./deadline.ts";
import { Dialer } from "./dialer.ts";
import type { Frame } from "./frame.ts";
import { type CallOwner, OutgoingCall, StreamCall, UnaryCall, UploadCall } from "./outgoing.ts";
import { type BusClientOptions, frameMaxDefault, queuedMaxDefault } from "./options.ts";
import { PendingCalls } from "./pending.ts";
import { processSequencers, type Sequencers } from "./resend.ts";
import { plainTransport } from "./transport.ts";
import { makeClient, type RawCaller } from "./typed-client.ts";
import type { BusCounts, CallerClass, Client, Method, Service } from "./types.ts";

export type { BusClientOptions } from "./options.ts";

const streamConnectMs = 10_000;

export class BusClient implements ConnectionOwner, CallOwner, RawCaller {
  readonly daemon: string;
  readonly counts: BusCounts;
  onConnected: (() => void) | undefined;
  onDisconnected: (() => void) | undefined;
  /** Every address was tried in vain. */
  onUnreachable: (() => void) | undefined;
  /** The other end by its own word: known from its hello on, so not yet in onConnected. */
  readonly peerDaemon = (): string => this.#current?.identity.daemon ?? "";
  readonly #dialer: Dialer;
  readonly #waits: boolean;
  readonly #unreachableCode: ErrorCode;
  readonly #queuedMax: number;
  readonly #waitingMax: number;
  readonly #deadlines: Deadlines;
  readonly #clients = new Map<Service, unknown>();
  readonly #sequencers: Sequencers;
  #current: Connection | undefined;
  readonly #pending = new PendingCalls();
  #isWanted = false;
  #isClosed = false;

  constructor(options: BusClientOptions) {
    this.daemon = options.daemon;
    this.counts = options.counts ?? newCounts();
    this.#waits = options.waits ?? true;
    this.#unreachableCode = options.unreachableCode ?? "unavailable";
    this.#queuedMax = options.queuedMax ?? queuedMaxDefault;
    this.#waitingMax = options.waitingMax ?? 20_000;
    this.#sequencers = options.sequencers ?? processSequencers;
    this.#deadlines = new Deadlines((nowMs) => this.#expire(nowMs));
    const isTcp = options.addresses.some((address) => "host" in address);
    const settings: ConnectionSettings = {
      identity: options.identity,
      purpose: "bus",
      log: options.log ?? silentLog,
      counts: this.counts,
      frameMax: options.frameMax ?? frameMaxDefault,
      pingIntervalMs: options.pingIntervalMs ?? (isTcp ? 5_000 : 0),
    };
    this.#dialer = new Dialer({
      addresses: options.addresses,
      transport: options.transport ?? plainTransport,
      backoffMs: options.backoffMs,
      open: (wire) => new Connection(wire, this, settings),
      connected: (connection) => this.#use(connection),
      failed: () => this.#failWaiting(),
      isNeeded: () => this.#isWanted || this.#pending.waiting.size > 0,
    });
  }

  get isConnected(): boolean {
    return this.#current !== undefined;
  }

  /** Calls made and not answered. */
  get outstanding(): number {
    return this.#pending.count;
  }

  /** Typed methods of a service that the daemon serves. */
  of<S extends Service>(service: S): Client<S> {
    let client = this.#clients.get(service);
    if (client === undefined) this.#clients.set(service, client = makeClient(service, this));
    return client as Client<S>;
  }

  /** Opens the connection before a call needs it, and keeps it open. */
  connect(): void {
    this.#isWanted = true;
    if (!this.#isClosed && this.#current === undefined) this.#dialer.dial();
  }

  close(): void {
    this.#isClosed = true;
    this.#dialer.close();
    this.#deadlines.stop();
    const error = new CuriaError("unavailable", `The client of ${this.daemon} is closed`);
    for (const call of this.#pending.takeWaiting()) call.fail(error);
    for (const connection of this.#pending.connections) {
      for (const call of this.#pending.take(connection)) call.fail(error);
      connection.close();
    }
  }

  // ---- calls, made from a method and a context as they are (forward.ts uses these too)

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

  #start(call: OutgoingCall, signal: AbortSignal | undefined): void {
    this.counts.calls++;
    if (this.#isClosed) {
      return call.fail(new CuriaError("unavailable", `The client of ${this.daemon} is closed`));
    }
    if (signal !== undefined && !call.follow(signal)) return;
    if (call.method.resend === "sequenced" && !call.context.client) this.#number(call);
    this.#sendOrWait(call);
    if (call.isDone) return;
    if (call.deadlineMs !== Infinity) this.#deadlines.watch(call.deadlineMs, performance.now());
  }

  #sendOrWait(call: OutgoingCall): void {
    if (this.#current !== undefined) this.#send(call, this.#current);
    else this.#wait(call);
  }

  #wait(call: OutgoingCall): void {
    if (this.#pending.waiting.size >= this.#waitingMax) {
      this.counts.overloads++;
      return call.fail(
        new CuriaError("overloaded", `Too many calls wait for a connection to ${this.daemon}`),
      );
    }
    this.#pending.waiting.add(call);
    // A stream without a deadline must not wait for ever for a daemon that is not there.
    if (call.deadlineMs === Infinity) {
      const giveUp = () => this.#pending.waiting.has(call) && call.fail(this.#unreachable());
      setTimeout(giveUp, streamConnectMs).unref();
    }
    this.#dialer.dial();
  }

  #unreachable(): CuriaError {
    const text = `Cannot reach ${this.daemon}: ${this.#dialer.lastProblem}`;
    return new CuriaError(this.#unreachableCode, text);
  }

  #send(call: OutgoingCall, connection: Connection): void {
    if (connection.queuedBytes > this.#queuedMax) {
      this.counts.overloads++;
      return call.fail(
        new CuriaError("overloaded", `${this.daemon} does not keep up with its calls`),
      );
    }
    const calls = this.#pending.on(connection);
    const id = this.#pending.nextId(calls);
    try {
      call.send(connection, id);
    } catch (error) {
      call.id = 0;
      const reason = error instanceof Error ? error.message : String(error);
      return call.fail(
        error instanceof CuriaError
          ? error
          : new CuriaError("invalid-argument", `${call.method.name}: ${reason}`),
      );
    }
    calls.set(id, call);
  }

  #expire(nowMs: number): number {
    return this.#pending.expire(nowMs, (call) => {
      if (call.sends === 0) return call.fail(this.#unreachable());
      const text = `${call.method.name} took longer than its caller waits`;
      call.abandon(new CuriaError("deadline-exceeded", text));
    });
  }

  #failWaiting(): void {
    this.onUnreachable?.();
    if (this.#waits) return;
    for (const call of this.#pending.takeWaiting()) call.fail(this.#unreachable());
  }

  done(call: OutgoingCall): void {
    call.sequencer?.finish(call.sequence, call.isAnswered);
    const { connection } = call;
    if (this.#pending.remove(call) && connection !== this.#current) connection!.close();
  }

  /** A write that was sent once to a state that does not know its client was not applied. One that
   *  was sent more often may have been, before the state forgot the client. */
  numberAnew(call: OutgoingCall): boolean {
    if (call.sends > 1) return false;
    this.#sequencers.drop(call.sequencer!);
    this.#pending.remove(call);
    this.#number(call);
    this.#sendOrWait(call);
    return true;
  }

  #number(call: OutgoingCall): void {
    call.sequencer = this.#sequencers.for(call.context.datacenter ?? "");
    call.sequence = call.sequencer.assign(call.context);
  }

  badPayload(): void {
    this.counts.badPayloads++;
  }

  hello(connection: Connection, _hello: Hello): CallerClass {
    return connection.address === "" ? "local" : "server";
  }

  frame(connection: Connection, frame: Frame): void {
    // An answer that crossed our cancel on the way is not an error.
    this.#pending.find(connection, frame.call)?.receive(frame);
  }

  closed(connection: Connection, refusal: CuriaError | undefined): void {
    const calls = this.#pending.take(connection);
    if (connection === this.#current) {
      this.#current = undefined;
      this.onDisconnected?.();
    }
    const error = refusal ??
      new CuriaError("unavailable", `The connection to ${this.daemon} broke`);
    for (const call of calls) {
      const mayResend = this.#waits && refusal === undefined && call.method.kind === "unary" &&
        call.method.resend !== "never";
      if (!mayResend || this.#isClosed) call.fail(error);
      else {
        this.counts.resends++;
        this.#wait(call);
      }
    }
    if (refusal !== undefined) {
      for (const call of this.#pending.takeWaiting()) {
        call.fail(refusal);
      }
    }
    this.#dialer.lost(connection, refusal);
  }

  #use(connection: Connection): void {
    const previous = this.#current;
    this.#current = connection;
    this.#pending.on(connection);
    this.counts.reconnects++;
    for (const call of this.#pending.takeWaiting()) this.#send(call, connection);
    if (previous !== undefined) this.#leave(previous);
    this.onConnected?.();
  }

  /** Back at an earlier address: answers still come on the old connection, streams open anew. */
  #leave(previous: Connection): void {
    const calls = this.#pending.on(previous);
    const error = new CuriaError("unavailable", `${this.daemon} is back: streams move to it`);
    const streams = [...calls.values()].filter((call) => call.method.kind !== "unary");
    for (const call of streams) call.abandon(error);
    if (calls.size === 0) previous.close();
  }
}
