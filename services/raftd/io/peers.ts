// Links to the other servers: a TCP connection of either direction serves both ways, and messages of
// one turn leave in one write. Losing messages is allowed; the core repairs it.

import { Hello, RaftEnvelope } from "#proto/messages.js";
import { body, type Frame, FrameSplitter } from "#shared/bus/frame.ts";
import { Outbox } from "#shared/bus/outbox.ts";
import { plainTransport, type Wire, type WireHandler } from "#shared/bus/transport.ts";
import type { Message, ServerId } from "../core/raft/messages.ts";
import { decodeMessage, encodeMessage } from "./message-codec.ts";

export interface PeerIdentity {
  id: ServerId;
  node: string;
  datacenter: string;
  release: string;
}

export interface PeerEvents {
  received(from: ServerId, message: Message): void;
  unreachable(peer: ServerId): void;
  /** Bytes that are no message: the connection is closed. */
  garbage(address: string, reason: string): void;
}

const RECONNECT_MIN_MS = 20;
const RECONNECT_MAX_MS = 500;
/** A peer that reads so slowly loses messages rather than filling our memory. */
const QUEUED_BYTES_MAX = 64 * 1024 * 1024;
/** An append or a snapshot chunk with its headers; the core's own bounds are far below. */
export const FRAME_BYTES_MAX = 16 * 1024 * 1024;
export const PROTOCOL_VERSION = 1;

/** An open connection to a peer, after the hello. */
class Connection implements WireHandler {
  readonly wire: Wire;
  readonly outbox: Outbox;
  readonly #splitter: FrameSplitter;
  readonly #closed: (connection: Connection) => void;
  readonly #garbage: (reason: string) => void;

  constructor(
    wire: Wire,
    take: (frame: Frame) => void,
    closed: (connection: Connection) => void,
    garbage: (reason: string) => void,
  ) {
    this.wire = wire;
    this.#closed = closed;
    this.#garbage = garbage;
    this.outbox = new Outbox(
      FRAME_BYTES_MAX,
      { bytesOut: 0 },
      (buffer, offset, length) => wire.write(buffer, offset, length),
    );
    this.#splitter = new FrameSplitter(FRAME_BYTES_MAX, take);
    this.outbox.unblock();
  }

  onBytes(bytes: Uint8Array): void {
    try {
      const error = this.#splitter.push(bytes);
      if (error !== undefined) throw new Error(`${error} frame`);
    } catch (error) {
      this.#splitter.stop();
      this.#garbage(String(error));
      this.wire.close();
    }
  }

  onDrain(): void {
    this.outbox.unblock();
  }

  onWireClosed(): void {
    this.outbox.close();
    this.#closed(this);
  }
}

interface Link {
  address: string;
  outgoing?: Connection;
  incoming?: Connection;
  isDialing: boolean;
  backoffMs: number;
  timer?: Timer;
  queue: Uint8Array[];
}

export class Peers {
  readonly #identity: PeerIdentity;
  readonly #events: PeerEvents;
  readonly #links = new Map<ServerId, Link>();
  #isClosed = false;

  constructor(identity: PeerIdentity, events: PeerEvents) {
    this.#identity = identity;
    this.#events = events;
  }

  /** The servers to keep a connection to. Others keep only what they opened themselves. */
  setAddresses(addresses: ReadonlyMap<ServerId, string>): void {
    for (const [id, address] of addresses) {
      if (id === this.#identity.id) continue;
      const link = this.#link(id);
      if (link.address === address) continue;
      link.address = address;
      link.outgoing?.wire.close();
      if (!link.isDialing) this.#dial(id, link);
    }
    for (const [id, link] of this.#links) {
      if (addresses.has(id)) continue;
      link.address = "";
      clearTimeout(link.timer);
      link.outgoing?.wire.close();
      this.#forget(id, link);
    }
  }

  /** Queues a message; `flush` sends what is queued. */
  send(to: ServerId, message: Message): void {
    this.#links.get(to)?.queue.push(encodeMessage(message));
  }

  flush(): void {
    for (const [id, link] of this.#links) {
      if (link.queue.length === 0) continue;
      const connection = link.outgoing ?? link.incoming;
      const messages = link.queue;
      link.queue = [];
      if (connection === undefined || connection.outbox.queuedBytes > QUEUED_BYTES_MAX) {
        this.#events.unreachable(id);
        continue;
      }
      connection.outbox.message(0, body.item, RaftEnvelope, { messages });
      connection.outbox.flush();
    }
  }

  /** Takes over a connection whose hello named a server. */
  adopt(id: ServerId, wire: Wire): WireHandler {
    const link = this.#link(id);
    link.incoming?.wire.close();
    link.incoming = this.#open(id, wire, (closed) => {
      if (link.incoming === closed) link.incoming = undefined;
      this.#forget(id, link);
    });
    return link.incoming;
  }

  close(): void {
    this.#isClosed = true;
    for (const link of this.#links.values()) {
      clearTimeout(link.timer);
      link.outgoing?.wire.close();
      link.incoming?.wire.close();
    }
  }

  #link(id: ServerId): Link {
    let link = this.#links.get(id);
    if (link === undefined) {
      link = { address: "", isDialing: false, backoffMs: RECONNECT_MIN_MS, queue: [] };
      this.#links.set(id, link);
    }
    return link;
  }

  #forget(id: ServerId, link: Link): void {
    const isUsed = link.address !== "" || link.incoming || link.outgoing || link.isDialing;
    if (!isUsed && this.#links.get(id) === link) this.#links.delete(id);
  }

  #dial(id: ServerId, link: Link): void {
    clearTimeout(link.timer);
    link.isDialing = true;
    const address = link.address;
    plainTransport.connect(parseAddress(address), (wire) => {
      link.isDialing = false;
      link.backoffMs = RECONNECT_MIN_MS;
      const connection = this.#open(id, wire, (closed) => {
        if (link.outgoing === closed) link.outgoing = undefined;
        this.#events.unreachable(id);
        this.#redial(id, link);
      });
      connection.outbox.bytes(0, body.hello, this.#hello());
      link.outgoing = connection;
      if (link.address !== address || this.#isClosed) wire.close();
      return connection;
    }).catch(() => {
      link.isDialing = false;
      this.#events.unreachable(id);
      this.#redial(id, link);
    });
  }

  #redial(id: ServerId, link: Link): void {
    if (this.#isClosed || link.address === "") return this.#forget(id, link);
    link.timer = setTimeout(() => this.#dial(id, link), link.backoffMs);
    link.backoffMs = Math.min(link.backoffMs * 2, RECONNECT_MAX_MS);
  }

  #open(id: ServerId, wire: Wire, closed: (connection: Connection) => void): Connection {
    return new Connection(
      wire,
      (frame) => {
        if (frame.body !== body.item) return;
        // The splitter's buffer is used again, and the core keeps entries: one copy for all of them.
        const bytes = Buffer.from(frame.buffer.subarray(frame.start, frame.end));
        for (const message of RaftEnvelope.decode(bytes).messages) {
          this.#events.received(id, decodeMessage(message));
        }
      },
      closed,
      (reason) => this.#events.garbage(wire.address, reason),
    );
  }

  #hello(): Uint8Array {
    const { id, ...identity } = this.#identity;
    return Hello.encode({
      ...identity,
      version: PROTOCOL_VERSION,
      oldest: PROTOCOL_VERSION,
      daemon: "raftd",
      nodeId: id,
      purpose: "raft",
    }).finish();
  }
}

/** "10.0.0.1:8300" or "[::1]:8300". */
export function parseAddress(address: string): { host: string; port: number } {
  const colon = address.lastIndexOf(":");
  return {
    host: address.slice(0, colon).replace(/^\[|\]$/g, ""),
    port: Number(address.slice(colon + 1)),
  };
}
