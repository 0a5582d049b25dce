// The name servers that are asked for what is not ours: in order or at random, each with a timeout,
// over the client's own transport.

import type { Random } from "#shared/random.ts";
import type { Transport } from "../core/message.ts";
import { rcodes, type ResourceRecord, typeCodes } from "../core/records/records.ts";
import { decodeAnswers, encodeQuestion, isReplyTo, replyRcode } from "../core/wire/upstream.ts";
import type { DnsCounts } from "./counts.ts";

export interface RecursorSettings {
  /** `ip:port` each, IPv6 in brackets. */
  addresses: readonly string[];
  strategy: "sequential" | "random";
  timeoutMs: number;
}

interface Endpoint {
  host: string;
  port: number;
}

export class Recursors {
  readonly #random: Random;
  readonly #counts: DnsCounts;
  readonly #strategy: RecursorSettings["strategy"];
  readonly #timeoutMs: number;
  readonly #endpoints: Endpoint[];

  constructor(settings: RecursorSettings, random: Random, counts: DnsCounts) {
    this.#random = random;
    this.#counts = counts;
    this.#strategy = settings.strategy;
    this.#timeoutMs = settings.timeoutMs;
    this.#endpoints = settings.addresses.map(parseEndpoint);
  }

  /** The first reply that says yes or no, as it came; undefined when no recursor gave one. */
  async forward(message: Uint8Array, transport: Transport): Promise<Uint8Array | undefined> {
    for (const endpoint of this.#order()) {
      const reply = await this.#exchange(endpoint, message, transport);
      if (reply === undefined) continue;
      const rcode = replyRcode(reply);
      if (rcode === rcodes.NOERROR || rcode === rcodes.NXDOMAIN) return reply;
    }
    return undefined;
  }

  /** The A records of a name outside, with the CNAMEs to them: the first reply counts, whatever it
   *  says. */
  async resolve(name: string): Promise<ResourceRecord[]> {
    const question = encodeQuestion(this.#random.below(0x10000), name, typeCodes.A);
    if (question === undefined) return [];
    for (const endpoint of this.#order()) {
      const reply = await this.#exchange(endpoint, question, "udp");
      if (reply !== undefined) return decodeAnswers(reply);
    }
    return [];
  }

  #order(): Endpoint[] {
    return this.#strategy === "random"
      ? this.#random.shuffle([...this.#endpoints])
      : this.#endpoints;
  }

  async #exchange(
    endpoint: Endpoint,
    message: Uint8Array,
    transport: Transport,
  ): Promise<Uint8Array | undefined> {
    const exchange = transport === "udp" ? exchangeUdp : exchangeTcp;
    const reply = await exchange(endpoint, message, this.#timeoutMs);
    if (reply === undefined) this.#counts.recursorFailures++;
    return reply;
  }
}

function parseEndpoint(address: string): Endpoint {
  const colon = address.lastIndexOf(":");
  const host = address.slice(0, colon).replace(/^\[|\]$/g, "");
  return { host, port: Number(address.slice(colon + 1)) };
}

/** A socket of its own per question: its random port is what makes forged replies hard. */
function exchangeUdp(
  { host, port }: Endpoint,
  message: Uint8Array,
  timeoutMs: number,
): Promise<Uint8Array | undefined> {
  const { promise, resolve } = Promise.withResolvers<Uint8Array | undefined>();
  const timer = setTimeout(() => resolve(undefined), timeoutMs);
  const opened = Bun.udpSocket({
    connect: { hostname: host, port },
    socket: {
      data: (_, reply) => {
        if (isReplyTo(reply, message)) resolve(Uint8Array.from(reply));
      },
      error: () => resolve(undefined),
    },
  });
  opened.then((socket) => {
    try {
      socket.send(message);
    } catch {
      resolve(undefined);
    }
    void promise.then(() => socket.close());
  }, () => resolve(undefined));
  return promise.finally(() => clearTimeout(timer));
}

function exchangeTcp(
  { host, port }: Endpoint,
  message: Uint8Array,
  timeoutMs: number,
): Promise<Uint8Array | undefined> {
  const { promise, resolve } = Promise.withResolvers<Uint8Array | undefined>();
  const timer = setTimeout(() => resolve(undefined), timeoutMs);
  const framed = Buffer.alloc(message.length + 2);
  framed.writeUInt16BE(message.length, 0);
  framed.set(message, 2);
  let received = Buffer.alloc(0);
  const opened = Bun.connect({
    hostname: host,
    port,
    socket: {
      open: (socket) => void socket.write(framed),
      data: (_, chunk) => {
        received = Buffer.concat([received, chunk]);
        if (received.length < 2) return;
        const end = 2 + received.readUInt16BE(0);
        if (received.length < end) return;
        const reply = received.subarray(2, end);
        resolve(isReplyTo(reply, message) ? reply : undefined);
      },
      close: () => resolve(undefined),
      error: () => resolve(undefined),
      connectError: () => resolve(undefined),
    },
  });
  opened.then((socket) => void promise.then(() => socket.end()), () => resolve(undefined));
  return promise.finally(() => clearTimeout(timer));
}
