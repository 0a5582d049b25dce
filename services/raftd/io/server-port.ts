// The server port (8300): the first frame says what a connection is for. Consensus stays in this
// thread; calls go, byte for byte, to raftd's own bus, so that they never wait on each other.

import { Hello } from "#proto/messages.js";
import { body, FrameSplitter, lengthBytes } from "#shared/bus/frame.ts";
import {
  type Listener,
  plainTransport,
  type Wire,
  type WireHandler,
} from "#shared/bus/transport.ts";
import { FRAME_BYTES_MAX, type Peers, PROTOCOL_VERSION } from "./peers.ts";

export interface ServerPortOptions {
  host: string;
  port: number;
  datacenter: string;
  peers: Peers;
  busSocket: string;
  refused(address: string, reason: string): void;
}

const HELLO_BYTES_MAX = 4_096;
const HELLO_TIMEOUT_MS = 5_000;
/** Bytes that may wait for a slow side of a passed-on connection before the other is paused. */
const WAITING_BYTES_MAX = 1024 * 1024;

export function openServerPort(options: ServerPortOptions): Listener {
  return plainTransport.listen(options, (wire) => new Newcomer(wire, options));
}

/** A connection until its hello is whole; then everything goes to what the hello asked for. */
class Newcomer implements WireHandler {
  readonly #wire: Wire;
  readonly #options: ServerPortOptions;
  readonly #timer: Timer;
  #begun = new Uint8Array(0);
  #next: WireHandler | undefined;

  constructor(wire: Wire, options: ServerPortOptions) {
    this.#wire = wire;
    this.#options = options;
    this.#timer = setTimeout(() => this.#refuse("no hello in time"), HELLO_TIMEOUT_MS);
  }

  onBytes(bytes: Uint8Array): void {
    if (this.#next !== undefined) return this.#next.onBytes(bytes);
    const joined = new Uint8Array(this.#begun.length + bytes.length);
    joined.set(this.#begun);
    joined.set(bytes, this.#begun.length);
    this.#begun = joined;
    if (joined.length < lengthBytes) return;
    const size = new DataView(joined.buffer).getUint32(0);
    if (size > HELLO_BYTES_MAX) return this.#refuse(`a first frame of ${size} bytes`);
    if (joined.length < lengthBytes + size) return;
    clearTimeout(this.#timer);
    this.#route(joined, lengthBytes + size);
  }

  #route(bytes: Uint8Array, helloEnd: number): void {
    const hello = readHello(bytes.subarray(0, helloEnd));
    const { datacenter, peers, busSocket } = this.#options;
    if (hello === undefined) return this.#refuse("its first frame is no hello");
    if (hello.oldest > PROTOCOL_VERSION) return this.#refuse(`it speaks ${hello.oldest} or newer`);
    if (hello.purpose === "bus") {
      this.#next = new Passage(this.#wire, busSocket);
      return this.#next.onBytes(bytes);
    }
    if (hello.purpose !== "raft") return this.#refuse(`unknown purpose "${hello.purpose}"`);
    if (hello.datacenter !== datacenter) {
      return this.#refuse(`its datacenter is "${hello.datacenter}", ours is "${datacenter}"`);
    }
    this.#next = peers.adopt(hello.nodeId, this.#wire);
    if (bytes.length > helloEnd) this.#next.onBytes(bytes.subarray(helloEnd));
  }

  onDrain(): void {
    this.#next?.onDrain();
  }

  onWireClosed(): void {
    clearTimeout(this.#timer);
    this.#next?.onWireClosed();
  }

  #refuse(reason: string): void {
    this.#options.refused(this.#wire.address, reason);
    this.#wire.close();
  }
}

function readHello(bytes: Uint8Array): Hello | undefined {
  let hello: Hello | undefined;
  try {
    new FrameSplitter(FRAME_BYTES_MAX, (frame) => {
      if (frame.body !== body.hello) return;
      hello = Hello.decode(frame.buffer.slice(frame.start, frame.end));
    }).push(bytes);
  } catch {
    return undefined;
  }
  return hello;
}

/** A connection passed on to a Unix socket of this node. */
class Passage implements WireHandler {
  #inner: Wire | undefined;
  readonly #inward: Flow;
  readonly #outward: Flow;

  constructor(outer: Wire, path: string) {
    this.#inward = new Flow(() => this.#inner, outer);
    this.#outward = new Flow(() => outer, undefined);
    plainTransport.connect({ path }, (inner) => {
      this.#inner = inner;
      this.#outward.source = inner;
      this.#inward.flush();
      return {
        onBytes: (bytes) => this.#outward.push(bytes),
        onDrain: () => this.#inward.flush(),
        onWireClosed: () => outer.close(),
      };
    }).catch(() => outer.close());
  }

  onBytes(bytes: Uint8Array): void {
    this.#inward.push(bytes);
  }

  onDrain(): void {
    this.#outward.flush();
  }

  onWireClosed(): void {
    this.#inner?.close();
  }
}

/** One direction: what the target does not take waits, and its source is paused meanwhile. */
class Flow {
  readonly #target: () => Wire | undefined;
  source: Wire | undefined;
  #waiting: Uint8Array[] = [];
  #waitingBytes = 0;
  #isPaused = false;

  constructor(target: () => Wire | undefined, source: Wire | undefined) {
    this.#target = target;
    this.source = source;
  }

  push(bytes: Uint8Array): void {
    const target = this.#target();
    let taken = 0;
    if (target !== undefined && this.#waiting.length === 0) {
      taken = target.write(bytes, 0, bytes.length);
      if (taken < 0) return;
    }
    if (taken === bytes.length) return;
    this.#waiting.push(bytes.slice(taken));
    this.#waitingBytes += bytes.length - taken;
    if (this.#waitingBytes > WAITING_BYTES_MAX && !this.#isPaused) {
      this.#isPaused = true;
      this.source?.pause();
    }
  }

  flush(): void {
    const target = this.#target();
    if (target === undefined) return;
    while (this.#waiting.length > 0) {
      const first = this.#waiting[0]!;
      const taken = target.write(first, 0, first.length);
      if (taken <= 0) return;
      this.#waitingBytes -= taken;
      if (taken < first.length) {
        this.#waiting[0] = first.subarray(taken);
        return;
      }
      this.#waiting.shift();
    }
    if (this.#isPaused) {
      this.#isPaused = false;
      this.source?.resume();
    }
  }
}
