// Makes a client's connection and makes it again: addresses in order, with backoff, and back to an
// earlier address as soon as it answers.

import { CuriaError, toCuriaError } from "../errors.ts";
import type { Connection } from "./connection.ts";
import { formatAddress, type Transport, type Wire, type WireHandler } from "./transport.ts";
import type { Address } from "./types.ts";

export interface DialerOptions {
  addresses: Address[];
  transport: Transport;
  backoffMs: { first: number; most: number } | undefined;
  open(wire: Wire): Connection;
  connected(connection: Connection): void;
  /** No address answered; the next attempt is set. */
  failed(): void;
  /** Whether a lost connection is to be made again at once. */
  isNeeded(): boolean;
}

/** How often an earlier address is tried while a later one serves. To try a socket file costs next
 *  to nothing, and the daemon behind it is back within moments. */
const returnIntervalMs = { local: 25, remote: 250 };
/** A host that is gone does not refuse: it is silent. */
const connectTimeoutMs = 3_000;
/** A connection that lived so long starts the backoff anew. */
const settledMs = 200;

export class Dialer {
  readonly #options: DialerOptions;
  readonly #backoffMs: { first: number; most: number };
  readonly #returnIntervalMs: number;
  lastProblem = "not connected yet";
  #failures = 0;
  #isDialing = false;
  #isClosed = false;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #current: Connection | undefined;
  #currentIndex = 0;
  #connectedMs = 0;

  constructor(options: DialerOptions) {
    this.#options = options;
    const isLocal = options.addresses.every((address) => "path" in address);
    this.#backoffMs = options.backoffMs ?? { first: isLocal ? 10 : 50, most: isLocal ? 50 : 1000 };
    this.#returnIntervalMs = isLocal ? returnIntervalMs.local : returnIntervalMs.remote;
  }

  /** Starts to connect unless it is being done or waited for. */
  dial(): void {
    if (this.#isDialing || this.#isClosed || this.#timer !== undefined) return;
    this.#attempt(this.#options.addresses.length).then((isConnected) => {
      if (isConnected || this.#isClosed) return;
      this.#tryLater();
      this.#options.failed();
    });
  }

  lost(connection: Connection, refusal: CuriaError | undefined): void {
    if (refusal !== undefined) this.lastProblem = refusal.message;
    if (connection !== this.#current) return;
    this.#current = undefined;
    clearTimeout(this.#timer);
    this.#timer = undefined;
    // The first attempt is made at once; a callee that accepts and drops is not hammered.
    const livedMs = performance.now() - this.#connectedMs;
    if (refusal === undefined && livedMs > settledMs) this.#failures = 0;
    queueMicrotask(() => {
      if (this.#isClosed || !this.#options.isNeeded()) return;
      if (this.#failures > 0) this.#tryLater();
      else {
        this.#failures = 1;
        this.dial();
      }
    });
  }

  close(): void {
    this.#isClosed = true;
    clearTimeout(this.#timer);
    this.#timer = undefined;
  }

  /** Tries the first `count` addresses in order. */
  async #attempt(count: number): Promise<boolean> {
    this.#isDialing = true;
    try {
      for (let index = 0; index < count; index++) {
        const connection = await this.#open(this.#options.addresses[index]!);
        if (connection === undefined) continue;
        if (this.#isClosed) {
          connection.close();
          return false;
        }
        if (connection.isClosed) continue;
        this.#current = connection;
        this.#currentIndex = index;
        this.#connectedMs = performance.now();
        if (index > 0) this.#watchEarlier();
        this.#options.connected(connection);
        return true;
      }
      return false;
    } finally {
      this.#isDialing = false;
    }
  }

  async #open(address: Address): Promise<Connection | undefined> {
    let connection: Connection | undefined;
    let isLate = false;
    const timeout = Promise.withResolvers<void>();
    const timer = setTimeout(() => {
      isLate = true;
      timeout.reject(
        new CuriaError("unavailable", `Connecting to ${formatAddress(address)} takes too long`),
      );
    }, connectTimeoutMs);
    try {
      const connected = this.#options.transport.connect(address, (wire) => {
        if (isLate) return new LateWire(wire);
        return connection = this.#options.open(wire);
      });
      await Promise.race([connected, timeout.promise]);
    } catch (error) {
      this.lastProblem = toCuriaError(error).message;
    } finally {
      clearTimeout(timer);
    }
    return connection;
  }

  #tryLater(): void {
    const { first, most } = this.#backoffMs;
    const delayMs = Math.min(most, first * 2 ** this.#failures++) * (0.5 + Math.random() / 2);
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => {
      this.#timer = undefined;
      if (this.#options.isNeeded()) this.dial();
    }, delayMs);
  }

  #watchEarlier(): void {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => {
      this.#timer = undefined;
      if (this.#isClosed || this.#current === undefined || this.#isDialing) return;
      this.#attempt(this.#currentIndex).then((isBack) => {
        if (!isBack && this.#current !== undefined && this.#currentIndex > 0) this.#watchEarlier();
      });
    }, this.#returnIntervalMs);
    this.#timer.unref();
  }
}

/** Came when nobody waited any more. */
class LateWire implements WireHandler {
  constructor(wire: Wire) {
    queueMicrotask(() => wire.close());
  }

  onBytes(): void {}
  onDrain(): void {}
  onWireClosed(): void {}
}
