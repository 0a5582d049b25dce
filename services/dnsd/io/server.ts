// Messages in, replies out: binds the sockets to the responder, and does what an answer waits for.

import { CuriaError } from "#shared/errors.ts";
import type { Random } from "#shared/random.ts";
import { type Fetched, needKey } from "../core/catalog-view.ts";
import type { Arrival, Handled, Responder } from "../core/responder.ts";
import type { Need } from "../core/view.ts";
import { repackReply } from "../core/wire/repack.ts";
import { replyRcode } from "../core/wire/upstream.ts";
import { DnsCounts } from "./counts.ts";
import { Recursors, type RecursorSettings } from "./recursors.ts";
import { type Reply, type TcpLimits, TcpListener } from "./tcp.ts";
import { UdpListener } from "./udp.ts";

export type CatalogNeed = Exclude<Need, { kind: "upstream" }>;

export interface DnsServerOptions {
  responder: Responder;
  random: Random;
  counts?: DnsCounts;
  recursors: RecursorSettings;
  tcpLimits?: Partial<TcpLimits>;
  /** Rows that the view does not hold. */
  fetch(need: CatalogNeed): Promise<Fetched>;
  /** How long an answer took, in seconds. */
  observe?(seconds: number, isReverse: boolean): void;
  wallMs?: () => number;
  /** A bug: the client got SERVFAIL. */
  onError?(error: unknown): void;
}

/** A view whose server has not heard of its leader for so long counts as stale. */
const staleMs = 5_000;
/** Questions that may wait for others at one time: each may hold a socket. */
const waitingMax = 1024;
const portAttemptsMax = 20;
/** What an answer from a template takes (bench/dns.ts): the clock would cost a tenth of it. */
const knownSeconds = 0.6e-6;
/** A chain of CNAMEs, or of datacenters to fail over to, ends before this. */
const roundsMax = 8;

export class DnsServer {
  readonly counts: DnsCounts;
  readonly #options: DnsServerOptions;
  readonly #responder: Responder;
  readonly #wallMs: () => number;
  readonly #udp: UdpListener[] = [];
  readonly #tcp: TcpListener[] = [];
  #recursors: Recursors;
  #waiting = 0;

  constructor(options: DnsServerOptions) {
    this.#options = options;
    this.#responder = options.responder;
    this.counts = options.counts ?? new DnsCounts();
    this.#wallMs = options.wallMs ?? Date.now;
    this.#recursors = this.#newRecursors(options.recursors);
  }

  set recursors(settings: RecursorSettings) {
    this.#recursors = this.#newRecursors(settings);
  }

  get waiting(): number {
    return this.#waiting;
  }

  get tcpConnectionCount(): number {
    return this.#tcp.reduce((count, listener) => count + listener.connectionCount, 0);
  }

  #newRecursors(settings: RecursorSettings): Recursors {
    return new Recursors(settings, this.#options.random, this.counts);
  }

  /** Opens both transports on one port, and returns it; 0 takes one that is free for both. */
  async listen(host: string, port: number): Promise<number> {
    for (let attempt = 1;; attempt++) {
      const udp = await this.#listenUdp(host, port);
      try {
        this.#tcp.push(this.#listenTcp(host, udp.port));
        this.#udp.push(udp);
        return udp.port;
      } catch (error) {
        udp.close();
        if (port !== 0 || attempt === portAttemptsMax) throw refusal("TCP", host, port, error);
      }
    }
  }

  async #listenUdp(host: string, port: number): Promise<UdpListener> {
    try {
      const udp: UdpListener = await UdpListener.open({
        host,
        port,
        counts: this.counts,
        onMessage: (message, from, address) => this.#overUdp(udp, message, from, address),
      });
      return udp;
    } catch (error) {
      throw refusal("UDP", host, port, error);
    }
  }

  #listenTcp(host: string, port: number): TcpListener {
    return new TcpListener({
      host,
      port,
      counts: this.counts,
      limits: this.#options.tcpLimits,
      onMessage: (message, address, reply) => this.#overTcp(message, address, reply),
    });
  }

  close(): void {
    for (const listener of [...this.#udp, ...this.#tcp]) listener.close();
    this.#udp.length = 0;
    this.#tcp.length = 0;
  }

  #overUdp(udp: UdpListener, message: Uint8Array, port: number, address: string): void {
    this.counts.udpQueries++;
    if (this.#responder.contact.lastContactMs > staleMs) this.counts.stale++;
    const arrival = this.#arrival("udp", address);
    const known = this.#responder.answerKnown(message, arrival);
    if (known > 0) udp.send(this.#knownReply(known), port, address);
    else {
      this.#answer(message, arrival, (reply) => {
        if (reply !== undefined) udp.send(reply, port, address);
      });
    }
  }

  #overTcp(message: Uint8Array, address: string, reply: Reply): void {
    this.counts.tcpQueries++;
    const arrival = this.#arrival("tcp", address);
    const known = this.#responder.answerKnown(message, arrival);
    if (known > 0) reply(this.#knownReply(known));
    else this.#answer(message, arrival, reply);
  }

  #arrival(transport: Arrival["transport"], clientAddress: string): Arrival {
    return { transport, clientAddress, wallSeconds: Math.floor(this.#wallMs() / 1000) };
  }

  #knownReply(bytes: number): Uint8Array {
    const reply = this.#responder.out.slice(0, bytes);
    this.counts.known++;
    this.#options.observe?.(knownSeconds, false);
    this.counts.answers[reply[3]! & 15]!.add();
    return reply;
  }

  #answer(message: Uint8Array, arrival: Arrival, reply: Reply): void {
    const startedMs = performance.now();
    const handled = this.#responder.handle(message, arrival);
    const done: Reply = (bytes) => {
      const seconds = (performance.now() - startedMs) / 1000;
      this.#options.observe?.(seconds, isReverse(message));
      reply(bytes);
    };
    if (handled.kind === "reply" || handled.kind === "drop") return done(this.#take(handled));
    if (this.#waiting >= waitingMax) {
      this.counts.overloaded++;
      return done(this.#take(this.#responder.fail(handled.query, arrival, true)));
    }
    this.#waiting++;
    // The socket's buffer is not ours beyond this turn.
    const kept = Uint8Array.from(message);
    this.#finish(kept, arrival, handled)
      .catch((error) => {
        this.#options.onError?.(error);
        return this.#take(this.#responder.fail(handled.query, arrival, true));
      })
      .then((bytes) => {
        this.#waiting--;
        done(bytes);
      });
  }

  /** The reply's bytes, counted; they are copied out of the responder's buffer. */
  #take(handled: Handled): Uint8Array | undefined {
    switch (handled.kind) {
      case "reply":
        this.counts.answers[handled.rcode & 15]!.add();
        return this.#responder.out.slice(0, handled.bytes);
      case "drop":
        if (handled.why === "not-a-query") this.counts.notAQuery++;
        else this.counts.noWireForm++;
        return undefined;
      default:
        return undefined;
    }
  }

  async #finish(
    message: Uint8Array,
    arrival: Arrival,
    first: Handled,
  ): Promise<Uint8Array | undefined> {
    const fetched = new Map<string, Fetched>();
    let handled = first;
    for (let round = 0; handled.kind === "wait"; round++) {
      if (round === roundsMax) {
        return this.#take(this.#responder.fail(handled.query, arrival, true));
      }
      await Promise.all(handled.needs.map(async (need) => {
        const key = needKey(need);
        if (!fetched.has(key)) fetched.set(key, await this.#fetch(need));
      }));
      handled = this.#responder.handle(message, arrival, fetched);
    }
    if (handled.kind !== "forward") return this.#take(handled);
    this.counts.forwarded++;
    const { query } = handled;
    const reply = await this.#recursors.forward(message, arrival.transport);
    if (reply === undefined) return this.#take(this.#responder.fail(query, arrival, false));
    this.counts.answers[replyRcode(reply)]!.add();
    return repackReply(reply, !this.#responder.settings.disableCompression);
  }

  async #fetch(need: Need): Promise<Fetched> {
    if (need.kind === "upstream") {
      return { kind: "records", records: await this.#recursors.resolve(need.name) };
    }
    this.counts.fetches++;
    const got = await this.#options.fetch(need);
    if (got.kind === "failed") this.counts.fetchFailures++;
    return got;
  }
}

function refusal(transport: string, host: string, port: number, error: unknown): CuriaError {
  const reason = error instanceof Error ? error.message : String(error);
  return new CuriaError(
    "unavailable",
    `Cannot listen for DNS over ${transport} at ${host} port ${port}: ${reason}. ` +
      "Change ports.dns or addresses.dns, or stop what listens there",
    { cause: error },
  );
}

/** A guess good enough for a metric: the question's last label is `arpa`. */
function isReverse(message: Uint8Array): boolean {
  const text = Buffer.from(message.buffer, message.byteOffset, Math.min(message.length, 271));
  return text.indexOf("\x04arpa\0", 12, "latin1") > 0;
}
