// Many gossip pools in one process, on virtual time: the production machines, with a network that
// delays, drops and splits, and processes that pause, die and come back.
import { Random } from "#shared/random.ts";
import type { Effect, Endpoint, Input, MemberChange } from "../../services/gossipd/core/border.ts";
import { GossipPool } from "../../services/gossipd/core/pool.ts";
import {
  consulVersions,
  lanProfile,
  type Profile,
  type Settings,
} from "../../services/gossipd/core/settings.ts";
import { EventHeap } from "./heap.ts";

export interface WorldOptions {
  seed: number;
  /** Of each packet; a stream is only slowed down by it. */
  lossShare?: number;
  latencyMs?: [number, number];
  profile?: Partial<Profile>;
  /** What the kernel keeps for a process that does not read. */
  inboxMax?: number;
}

export interface SimNode {
  readonly index: number;
  readonly name: string;
  pool: GossipPool;
  /** Counts restarts: what belongs to an earlier life is dropped. */
  life: number;
  isUp: boolean;
  pausedUntilMs: number;
  /** Its timers go on, but nothing gets in or out (how Lifeguard's authors model overload). */
  blockedUntilMs: number;
  outbox: { to: Endpoint; messages: Uint8Array[] }[];
  /** Nodes of different sides cannot reach each other. */
  side: number;
  inbox: { from: Endpoint; messages: readonly Uint8Array[] }[];
  lateTimers: { timer: string; token: number; dueMs: number }[];
  sentPackets: number;
  sentBytes: number;
  streamBytes: number;
}

export interface Report {
  atMs: number;
  /** Who says it. */
  by: SimNode;
  change: MemberChange;
  about: string;
}

type Event =
  | { kind: "timer"; node: SimNode; life: number; timer: string; token: number; dueMs: number }
  | { kind: "packet"; node: SimNode; from: Endpoint; messages: readonly Uint8Array[] }
  | { kind: "input"; node: SimNode; life: number; input: Input }
  | { kind: "resume"; node: SimNode }
  | { kind: "call"; call: () => void };

interface OpenStream {
  node: SimNode;
  life: number;
  stream: number;
}

const port = 8301;
/** Around a message: IP, UDP; a compound's head and its parts' lengths. */
const packetOverheadBytes = 28;

export class World {
  readonly random: Random;
  readonly nodes: SimNode[] = [];
  readonly reports: Report[] = [];
  onEffect: ((node: SimNode, effect: Effect) => void) | undefined;
  onReport: ((report: Report) => void) | undefined;
  nowMs = 0;
  eventsTotal = 0;
  readonly #options: Required<WorldOptions>;
  readonly #heap = new EventHeap<Event>();
  readonly #network: Random;
  readonly #incoming = new Map<number, OpenStream>();
  #lastIncoming = 0;

  constructor(options: WorldOptions) {
    this.#options = {
      lossShare: 0,
      latencyMs: [0.2, 1.5],
      profile: {},
      inboxMax: 1_000,
      ...options,
    };
    this.random = new Random(options.seed);
    this.#network = this.random.split();
  }

  /** Adds a node and starts it. */
  add(): SimNode {
    const index = this.nodes.length;
    const node: SimNode = {
      index,
      name: `node-${index}`,
      pool: this.#newPool(index),
      life: 0,
      isUp: true,
      pausedUntilMs: 0,
      blockedUntilMs: 0,
      outbox: [],
      side: 0,
      inbox: [],
      lateTimers: [],
      sentPackets: 0,
      sentBytes: 0,
      streamBytes: 0,
    };
    this.nodes.push(node);
    this.step(node, { kind: "started" });
    return node;
  }

  #newPool(index: number): GossipPool {
    const settings: Settings = {
      ...lanProfile,
      ...this.#options.profile,
      name: `node-${index}`,
      address: addressOf(index),
      port,
      tags: new Map([["role", "node"], ["dc", "dc1"]]),
      versions: consulVersions,
      admission: { kind: "open" },
      envelopeOverheadBytes: 0,
    };
    return new GossipPool(settings, this.random.split());
  }

  join(node: SimNode, to: SimNode): void {
    const peer = { address: addressOf(to.index), port };
    this.step(node, { kind: "join-requested", join: 1, peers: [peer] });
  }

  kill(node: SimNode): void {
    node.isUp = false;
    node.life++;
    node.inbox = [];
    node.lateTimers = [];
  }

  restart(node: SimNode): void {
    node.isUp = true;
    node.life++;
    node.pool = this.#newPool(node.index);
    this.step(node, { kind: "started" });
  }

  /** The process stops running, as under SIGSTOP or a full host. */
  pause(node: SimNode, forMs: number): void {
    node.pausedUntilMs = this.nowMs + forMs;
    this.#heap.add(node.pausedUntilMs, { kind: "resume", node });
  }

  block(node: SimNode, forMs: number): void {
    node.blockedUntilMs = this.nowMs + forMs;
    this.#heap.add(node.blockedUntilMs, { kind: "resume", node });
  }

  at(ms: number, call: () => void): void {
    this.#heap.add(ms, { kind: "call", call });
  }

  /** Runs until the time, or until `isDone` says so after an event; false when time ran out. */
  run(untilMs: number, isDone?: () => boolean): boolean {
    if (isDone?.()) return true;
    while (this.#heap.nextMs <= untilMs) {
      this.nowMs = this.#heap.nextMs;
      this.eventsTotal++;
      this.#happen(this.#heap.take());
      if (isDone?.()) return true;
    }
    this.nowMs = untilMs;
    return false;
  }

  #happen(event: Event): void {
    switch (event.kind) {
      case "call":
        return event.call();
      case "resume":
        return this.#resume(event.node);
      case "timer":
        if (event.life !== event.node.life) return;
        if (isPaused(event.node, this.nowMs)) event.node.lateTimers.push(event);
        else this.step(event.node, { ...event, kind: "timer-fired" });
        return;
      case "packet":
        if (!event.node.isUp) return;
        if (!isPaused(event.node, this.nowMs) && !isBlocked(event.node, this.nowMs)) {
          return this.step(event.node, { ...event, kind: "received-packet" });
        }
        if (event.node.inbox.length < this.#options.inboxMax) event.node.inbox.push(event);
        return;
      case "input":
        if (event.life !== event.node.life) return;
        if (!isPaused(event.node, this.nowMs) && !isBlocked(event.node, this.nowMs)) {
          return this.step(event.node, event.input);
        }
        this.#heap.add(
          Math.max(event.node.pausedUntilMs, event.node.blockedUntilMs) + 0.01,
          event,
        );
        return;
      default:
        event satisfies never;
    }
  }

  /** An event loop runs the timers that are due before it reads its sockets. */
  #resume(node: SimNode): void {
    if (!node.isUp || isPaused(node, this.nowMs)) return;
    if (isBlocked(node, this.nowMs)) return;
    const { lateTimers, inbox, outbox } = node;
    node.lateTimers = [];
    node.inbox = [];
    node.outbox = [];
    for (const { to, messages } of outbox) this.#sendPacket(node, to, messages);
    for (const { timer, token } of lateTimers.sort((a, b) => a.dueMs - b.dueMs)) {
      this.step(node, { kind: "timer-fired", timer, token });
    }
    for (const { from, messages } of inbox) {
      this.step(node, { kind: "received-packet", from, messages });
    }
  }

  step(node: SimNode, input: Input): void {
    for (const effect of node.pool.step(input, this.nowMs)) this.#obey(node, effect);
  }

  #obey(node: SimNode, effect: Effect): void {
    this.onEffect?.(node, effect);
    switch (effect.kind) {
      case "send-packet":
        return this.#sendPacket(node, effect.to, effect.messages);
      case "set-timer": {
        const dueMs = this.nowMs + effect.afterMs;
        const { timer, token } = effect;
        this.#heap.add(dueMs, { kind: "timer", node, life: node.life, timer, token, dueMs });
        return;
      }
      case "open-stream":
        return this.#openStream(node, effect);
      case "reply-stream":
        return this.#reply(node, effect.stream, effect.message);
      case "close-stream":
        return this.#reply(node, effect.stream, undefined);
      case "report": {
        const { change, member } = effect;
        const report = { atMs: this.nowMs, by: node, change, about: member.name };
        this.reports.push(report);
        this.onReport?.(report);
        return;
      }
      default:
        return;
    }
  }

  #latencyMs(): number {
    return this.#network.between(...this.#options.latencyMs);
  }

  #sendPacket(from: SimNode, to: Endpoint, messages: Uint8Array[]): void {
    if (isBlocked(from, this.nowMs)) {
      from.outbox.push({ to, messages });
      return;
    }
    let bytes = packetOverheadBytes + (messages.length > 1 ? 2 + 2 * messages.length : 0);
    for (const message of messages) bytes += message.length;
    from.sentPackets++;
    from.sentBytes += bytes;
    const node = this.#nodeAt(to);
    if (!node || node.side !== from.side) return;
    if (node !== from && this.#network.chance(this.#options.lossShare)) return;
    const source = { address: addressOf(from.index), port };
    this.#heap.add(this.nowMs + this.#latencyMs(), {
      kind: "packet",
      node,
      from: source,
      messages,
    });
  }

  #openStream(from: SimNode, effect: Extract<Effect, { kind: "open-stream" }>): void {
    const { stream, message, timeoutMs, to } = effect;
    const target = this.#nodeAt(to);
    const fail = (afterMs: number, reason: string) => {
      const input = { kind: "stream-failed", stream, reason } as const;
      this.#heap.add(this.nowMs + afterMs, { kind: "input", node: from, life: from.life, input });
    };
    if (!target || target.side !== from.side) return fail(timeoutMs, "timed out");
    if (!target.isUp) return fail(this.#latencyMs(), "connection refused");
    from.streamBytes += message.length;
    // Whatever the stream's fate, the dialler gives up at its timeout; a late answer is ignored.
    fail(timeoutMs, "timed out");
    const incoming = ++this.#lastIncoming;
    this.#incoming.set(incoming, { node: from, life: from.life, stream });
    const source = { address: addressOf(from.index), port };
    const input = { kind: "received-stream", stream: incoming, from: source, message } as const;
    const slow = this.#network.chance(this.#options.lossShare) ? 200 : 0;
    const afterMs = 3 * this.#latencyMs() + slow;
    this.#heap.add(this.nowMs + afterMs, {
      kind: "input",
      node: target,
      life: target.life,
      input,
    });
  }

  #reply(from: SimNode, incoming: number, message: Uint8Array | undefined): void {
    const open = this.#incoming.get(incoming);
    this.#incoming.delete(incoming);
    if (!open || open.node.side !== from.side) return;
    const { node, life, stream } = open;
    from.streamBytes += message?.length ?? 0;
    const input: Input = message
      ? { kind: "stream-answered", stream, message }
      : { kind: "stream-failed", stream, reason: "closed" };
    this.#heap.add(this.nowMs + this.#latencyMs(), { kind: "input", node, life, input });
  }

  #nodeAt(endpoint: Endpoint): SimNode | undefined {
    const [, high, middle, low] = endpoint.address;
    return this.nodes[(high! << 16) | (middle! << 8) | low!];
  }
}

export function addressOf(index: number): Uint8Array {
  return Uint8Array.of(10, index >> 16, (index >> 8) & 0xff, index & 0xff);
}

function isPaused(node: SimNode, nowMs: number): boolean {
  return node.pausedUntilMs > nowMs;
}

function isBlocked(node: SimNode, nowMs: number): boolean {
  return node.blockedUntilMs > nowMs;
}
