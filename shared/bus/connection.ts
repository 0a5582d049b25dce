// One connection, either end: hello first, then frames of many calls. What breaks the protocol
// closes the connection, with a count and a reason in the log.

import { Failure, Hello } from "#proto/messages.js";
import { CuriaError, errorCodeName, toCuriaError } from "../errors.ts";
import { body, type Frame, FrameSplitter } from "./frame.ts";
import { Outbox } from "./outbox.ts";
import type { Wire, WireHandler } from "./transport.ts";
import type { BusCounts, BusLog, CallerClass, Identity, Peer } from "./types.ts";

export const busVersion = 1;
export const busVersionOldest = 1;
const helloTimeoutMs = 5_000;

export interface ConnectionSettings {
  identity: Identity;
  /** "bus" or "raft". */
  purpose: string;
  log: BusLog;
  counts: BusCounts;
  frameMax: number;
  /** 0: no pings. A side that hears nothing for three of these closes. */
  pingIntervalMs: number;
}

export interface ConnectionOwner {
  /** The other side's hello; throws to refuse it. */
  hello(connection: Connection, hello: Hello): CallerClass;
  frame(connection: Connection, frame: Frame): void;
  /** An item of call 0: a message of a link whose purpose is not calls. */
  item?(connection: Connection, bytes: Uint8Array): void;
  /** `refusal`: what the other side said before it closed. */
  closed(connection: Connection, refusal: CuriaError | undefined): void;
}

let lastId = 0;

export class Connection implements Peer, WireHandler {
  readonly id = ++lastId;
  readonly outbox: Outbox;
  identity: Identity = { daemon: "", release: "", nodeId: "", node: "", datacenter: "" };
  caller: CallerClass = "remote";
  isClosed = false;
  readonly #wire: Wire;
  readonly #owner: ConnectionOwner;
  readonly #settings: ConnectionSettings;
  readonly #splitter: FrameSplitter;
  #isGreeted = false;
  #refusal: CuriaError | undefined;
  #isHeard = true;
  #silentIntervals = 0;
  readonly #greeting: ReturnType<typeof setTimeout>;
  #pings: ReturnType<typeof setInterval> | undefined;
  readonly #closeListeners = new Set<() => void>();

  constructor(wire: Wire, owner: ConnectionOwner, settings: ConnectionSettings) {
    this.#wire = wire;
    this.#owner = owner;
    this.#settings = settings;
    this.#splitter = new FrameSplitter(settings.frameMax, (frame) => this.#receive(frame));
    this.outbox = new Outbox(
      settings.frameMax,
      settings.counts,
      (buffer, offset, length) => wire.write(buffer, offset, length),
    );
    settings.counts.connectionsOpened++;
    const hello = Hello.encode({
      ...settings.identity,
      version: busVersion,
      oldest: busVersionOldest,
      purpose: settings.purpose,
    }).finish();
    this.outbox.bytes(0, body.hello, hello);
    this.outbox.unblock();
    this.#greeting = setTimeout(() => this.#broken("no hello in time"), helloTimeoutMs);
    this.#greeting.unref();
    if (settings.pingIntervalMs > 0) {
      this.#pings = setInterval(() => this.#ping(), settings.pingIntervalMs);
      this.#pings.unref();
    }
  }

  get address(): string {
    return this.#wire.address;
  }

  get queuedBytes(): number {
    return this.outbox.queuedBytes;
  }

  /** Reads no more: the other side will send again, elsewhere or later, what was not read. */
  stopReading(): void {
    if (!this.isClosed) this.#wire.pause();
  }

  /** Tells why, then closes. */
  refuse(error: CuriaError): void {
    if (this.isClosed) return;
    this.outbox.failure(0, error.code, error.message);
    this.close();
  }

  close(): void {
    if (this.isClosed) return;
    this.outbox.flush();
    this.#wire.close();
    this.#finish();
  }

  onBytes(bytes: Uint8Array): void {
    if (this.isClosed) return;
    this.#settings.counts.bytesIn += bytes.length;
    this.#isHeard = true;
    const problem = this.#splitter.push(bytes);
    if (problem !== undefined) this.#broken(problem);
    // What handlers answered at once leaves now; later answers leave in the outbox's own turn.
    this.outbox.flush();
  }

  onDrain(): void {
    this.outbox.unblock();
  }

  onWireClosed(): void {
    this.#finish();
  }

  onClose(listener: () => void): void {
    if (this.isClosed) listener();
    else this.#closeListeners.add(listener);
  }

  #receive(frame: Frame): void {
    try {
      if (!this.#isGreeted) this.#greet(frame);
      else if (frame.call === 0) this.#onConnectionFrame(frame);
      else this.#owner.frame(this, frame);
    } catch (error) {
      // A bug in whoever handles the frame: it must not harm the other calls.
      this.#settings.log.warn({ err: error, peer: this.identity.daemon }, "bus frame not handled");
    }
  }

  #greet(frame: Frame): void {
    if (frame.call === 0 && frame.body === body.failure) return this.#onRefused(frame);
    if (frame.call !== 0 || frame.body !== body.hello) return this.#broken("no hello");
    let hello: Hello;
    try {
      hello = Hello.decode(frame.buffer.subarray(frame.start, frame.end));
    } catch {
      return this.#broken("malformed hello");
    }
    this.#isGreeted = true;
    clearTimeout(this.#greeting);
    const { daemon, release, nodeId, node, datacenter } = hello;
    this.identity = { daemon, release, nodeId, node, datacenter };
    try {
      checkVersion(hello);
      this.caller = this.#owner.hello(this, hello);
    } catch (error) {
      const refusal = this.#refusal = toCuriaError(error);
      this.#settings.log.warn({ peer: daemon, release, reason: refusal.message }, "peer refused");
      this.refuse(refusal);
    }
  }

  #onConnectionFrame(frame: Frame): void {
    switch (frame.body) {
      case body.ping:
        this.outbox.number(0, body.pong, frame.value);
        return;
      case body.failure:
        return this.#onRefused(frame);
      case body.item:
        return this.#owner.item?.(this, frame.buffer.subarray(frame.start, frame.end));
      case body.hello:
        return this.#broken("second hello");
    }
  }

  #onRefused(frame: Frame): void {
    const failure = Failure.decode(frame.buffer.subarray(frame.start, frame.end));
    this.#refusal = new CuriaError(errorCodeName(failure.code), failure.message);
  }

  #broken(problem: string): void {
    if (this.isClosed) return;
    if (problem === "oversized") this.#settings.counts.oversizedFrames++;
    else this.#settings.counts.badFrames++;
    const peer = this.identity.daemon || this.address;
    this.#settings.log.warn({ peer, problem }, "bus connection broke the protocol");
    this.refuse(new CuriaError("invalid-argument", `Expected bus frames but got: ${problem}`));
  }

  #ping(): void {
    if (!this.#isHeard && ++this.#silentIntervals >= 3) {
      this.#settings.log.info({ peer: this.identity.daemon }, "bus peer is silent");
      this.close();
      return;
    }
    if (this.#isHeard) this.#silentIntervals = 0;
    this.#isHeard = false;
    this.outbox.number(0, body.ping, 1);
  }

  #finish(): void {
    if (this.isClosed) return;
    this.isClosed = true;
    clearTimeout(this.#greeting);
    clearInterval(this.#pings);
    this.#splitter.stop();
    this.outbox.close();
    this.#settings.counts.connectionsClosed++;
    this.#owner.closed(this, this.#refusal);
    for (const listener of this.#closeListeners) listener();
    this.#closeListeners.clear();
  }
}

/** Releases that are neighbours understand each other; others say so instead of guessing. */
function checkVersion(hello: Hello): void {
  if (hello.version >= busVersionOldest && hello.oldest <= busVersion) return;
  throw new CuriaError(
    "failed-precondition",
    `Expected a bus version from ${busVersionOldest} to ${busVersion} but ${hello.daemon} ` +
      `${hello.release} speaks ${hello.oldest} to ${hello.version}: upgrade the older daemon`,
  );
}
