// The consensus worker: runs the Raft core, the links to the other servers and the log writer. It
// never touches the state, so that no list or apply can delay a heartbeat.

import { RaftProposals } from "#proto/messages.js";
import type { Listener } from "#shared/bus/transport.ts";
import { Random } from "#shared/random.ts";
import type { Effect, Input, Restored } from "../core/raft/machine.ts";
import type { Configuration, Proposal } from "../core/raft/messages.ts";
import { Raft } from "../core/raft/raft.ts";
import { bootTimeMs } from "./clock.ts";
import { CoreTimer } from "./core-timer.ts";
import { packEntries, unpackEntries } from "./entry-codec.ts";
import { EntryFeed } from "./entry-feed.ts";
import type { WriterReply } from "./log-writer.ts";
import { LogWriterLink } from "./log-writer-link.ts";
import { Peers } from "./peers.ts";
import { openServerPort } from "./server-port.ts";
import {
  type ConsensusOptions,
  type FromConsensus,
  type MainEffect,
  SharedWords,
  type ToConsensus,
} from "./thread-messages.ts";

/** Entries for the state are read from log.db in pieces of this size. */
const FEED_BYTES_MAX = 4 * 1024 * 1024;
const HELD_MS = 5;
/** What only a leader sends. */
const leaderMessages = new Set(["append", "heartbeat", "snapshot-chunk"]);
/** Peer name of reads that are for our own state. */
const OWN_FEED = "";

class Consensus {
  readonly #options: ConsensusOptions;
  readonly #words: SharedWords;
  readonly #peers: Peers;
  readonly #writer: LogWriterLink;
  readonly #post: (message: FromConsensus, transfer?: ArrayBuffer[]) => void;
  #raft: Raft | undefined;
  #feed: EntryFeed | undefined;
  #port: Listener | undefined;
  readonly #timer: CoreTimer;
  #heldTimer: Timer | undefined;
  #isFlushScheduled = false;
  #isReading = false;
  #isHalted = false;
  #outbox: MainEffect[] = [];
  #commitsMs: number[] = [];
  #leader = "";

  constructor(
    options: ConsensusOptions,
    post: (message: FromConsensus, transfer?: ArrayBuffer[]) => void,
  ) {
    this.#options = options;
    this.#post = post;
    this.#words = new SharedWords(options.words);
    this.#peers = new Peers(options, {
      received: (from, message) => {
        if (from === this.#leader && leaderMessages.has(message.kind)) {
          this.#words.leaderContactMs = bootTimeMs();
        }
        this.#take({ kind: "received", from, message });
      },
      unreachable: (peer) => this.#take({ kind: "peer-unreachable", peer }),
      garbage: (address, reason) => post({ kind: "garbage", address, reason }),
    });
    this.#timer = new CoreTimer(
      () => this.#take({ kind: "timer-fired", wallMs: Date.now() }),
      (lateMs) => post({ kind: "late", lateMs }),
    );
    this.#writer = new LogWriterLink(options, (reply) => this.#written(reply));
  }

  take(message: ToConsensus): void {
    switch (message.kind) {
      case "start":
        throw new Error("consensus worker started twice");
      case "turn":
        return this.#turn(message);
      case "stop":
        clearTimeout(this.#heldTimer);
        this.#halt();
        this.#port?.close();
        this.#peers.close();
        return this.#writer.close();
    }
  }

  #turn(turn: ToConsensus & { kind: "turn" }): void {
    if (turn.appliedIndex > 0) this.#take({ kind: "applied", index: turn.appliedIndex });
    for (const input of turn.inputs) {
      if (input.kind === "snapshot-installed") this.#feed!.skipTo(turn.appliedIndex);
      this.#take(input);
    }
    if (turn.proposals !== undefined) {
      const { proposals } = RaftProposals.decode(turn.proposals);
      this.#take({ kind: "proposed", proposals: proposals.map(toProposal) });
    }
    if (turn.defaultReads.length > 0) {
      this.#take({ kind: "read-requested", ids: turn.defaultReads, mode: "default" });
    }
    if (turn.consistentReads.length > 0) {
      this.#take({ kind: "read-requested", ids: turn.consistentReads, mode: "consistent" });
    }
    if (turn.statusRequest !== undefined) {
      const status = this.#raft!.status(bootTimeMs());
      this.#post({ kind: "status", request: turn.statusRequest, status });
    }
  }

  #written(reply: WriterReply): void {
    switch (reply.kind) {
      case "opened":
        return this.#open(reply);
      case "written":
        this.#feed!.persisted(reply.seq);
        this.#commitsMs.push(reply.tookMs);
        return this.#take({ kind: "persisted", seq: reply.seq });
      case "read": {
        if (reply.peer !== OWN_FEED) {
          const { peer, fromIndex } = reply;
          const entries = unpackEntries(reply.packed);
          return this.#take({ kind: "log-read", peer, fromIndex, entries });
        }
        this.#isReading = false;
        this.#feed!.handed(reply.fromIndex, unpackEntries(reply.packed).length);
        const packed = reply.packed as Uint8Array<ArrayBuffer>;
        this.#postTurn([packed], []);
        return this.#flushSoon();
      }
      case "disk-full-changed":
        this.#post({ kind: "disk", isFull: reply.isFull, freeBytes: reply.freeBytes });
        return this.#take({ kind: "disk-full-changed", isFull: reply.isFull });
      case "failed":
        if (this.#raft === undefined) return this.#post({ kind: "failed", reason: reply.reason });
        return this.#take({ kind: "persist-failed", reason: reply.reason });
      case "closed":
        return this.#post({ kind: "stopped" });
    }
  }

  #open({ hardState, content }: WriterReply & { kind: "opened" }): void {
    const { id, settings, seed, applied, stampMs, configuration } = this.#options;
    const restored: Restored = {
      ...content,
      hardState,
      tail: [],
      stampMs: Math.max(stampMs, content.stampMs),
      applied,
      configurations: [
        ...(configuration.index > 0 ? [configuration] : []),
        ...content.configurations.filter(({ index }) => index > configuration.index),
      ],
    };
    const { lastIndex, promised } = content;
    if (promised !== undefined) this.#post({ kind: "damaged", lastIndex, promised });
    this.#feed = new EntryFeed(applied.index, lastIndex);
    this.#raft = new Raft({ id, settings, random: new Random(seed), restored });
    this.#setConfiguration(this.#raft.status(bootTimeMs()).configuration);
    this.#port = openServerPort({
      host: this.#options.listenHost,
      port: this.#options.listenPort,
      datacenter: this.#options.datacenter,
      peers: this.#peers,
      busSocket: this.#options.busSocket,
      refused: (address, reason) => this.#post({ kind: "garbage", address, reason }),
    });
    this.#take({ kind: "started", wallMs: Date.now() });
    // What was restored is known to the main thread before it hears that it may begin.
    this.#flush();
    this.#post({ kind: "started", port: this.#port.port });
  }

  #take(input: Input): void {
    if (this.#isHalted || this.#raft === undefined) return;
    for (const effect of this.#raft.step(input, bootTimeMs())) this.#carryOut(effect);
    this.#flushSoon();
  }

  #carryOut(effect: Effect): void {
    switch (effect.kind) {
      case "persist":
        this.#feed!.persisting(effect);
        return this.#writer.persist(effect);
      case "send":
        return this.#peers.send(effect.to, effect.message);
      case "commit":
        this.#words.commitIndex = effect.index;
        return this.#feed!.committed(effect.index);
      case "publish-lease":
        this.#words.leaseUntilMs = effect.untilMs;
        return;
      case "read-log":
        return this.#writer.read(effect);
      case "compact-log":
        return this.#writer.compact({ index: effect.throughIndex, term: effect.throughTerm });
      case "publish-configuration":
        this.#setConfiguration(effect.configuration);
        break;
      case "publish-role":
        this.#leader = effect.leader;
        break;
      case "halt":
        this.#halt();
        break;
    }
    this.#outbox.push(effect as MainEffect);
  }

  #halt(): void {
    this.#isHalted = true;
    this.#timer.clear();
  }

  #setConfiguration(configuration: Configuration): void {
    const addresses = configuration.servers.map(({ id, address }) => [id, address] as const);
    this.#peers.setAddresses(new Map(addresses));
  }

  #flushSoon(): void {
    if (this.#isFlushScheduled) return;
    this.#isFlushScheduled = true;
    setImmediate(() => {
      this.#isFlushScheduled = false;
      this.#flush();
    });
  }

  /** All that this turn gave rise to leaves now. */
  #flush(): void {
    this.#peers.flush();
    this.#writer.flush();
    const packed: Uint8Array<ArrayBuffer>[] = [];
    const effects = this.#outbox;
    this.#outbox = [];
    while (!this.#isReading) {
      const step = this.#feed!.step();
      if (step.kind === "wait") break;
      if (step.kind === "entries") packed.push(packEntries(step.entries));
      else {
        this.#isReading = true;
        this.#writer.read({ ...step, peer: OWN_FEED, bytesMax: FEED_BYTES_MAX });
      }
    }
    if (packed.length === 0 && effects.every(({ kind }) => kind === "answer-proposals")) {
      this.#hold(effects);
    } else {
      clearTimeout(this.#heldTimer);
      this.#heldTimer = undefined;
      this.#postTurn(packed, effects);
    }
    if (this.#leader === this.#options.id) this.#words.leaderContactMs = bootTimeMs();
    if (!this.#isHalted) this.#timer.set(this.#raft!.deadlineMs);
  }

  /** Where a proposal lies in the log is of use only when it gets lost: it can wait for the entries
   *  themselves, which mostly follow within a millisecond or two. */
  #hold(effects: MainEffect[]): void {
    this.#outbox = effects;
    if (effects.length === 0) return;
    this.#heldTimer ??= setTimeout(() => {
      this.#heldTimer = undefined;
      const held = this.#outbox;
      this.#outbox = [];
      this.#postTurn([], held);
    }, HELD_MS);
  }

  #postTurn(packed: Uint8Array<ArrayBuffer>[], effects: MainEffect[]): void {
    const commitsMs = this.#commitsMs;
    this.#commitsMs = [];
    this.#post({ kind: "turn", packed, effects, commitsMs }, packed.map(({ buffer }) => buffer));
  }
}

function toProposal(wire: { id: number; kind: number; bytes: Uint8Array }): Proposal {
  return { id: wire.id, kind: wire.kind === 1 ? "barrier" : "command", bytes: wire.bytes };
}

declare const self: Worker;
let consensus: Consensus | undefined;
if (!Bun.isMainThread) {
  self.onmessage = ({ data }: MessageEvent<ToConsensus>) => {
    if (data.kind !== "start") return consensus!.take(data);
    consensus = new Consensus(
      data.options,
      (message, transfer) => self.postMessage(message, transfer ?? []),
    );
  };
}
