// The shell's state thread in small: applies what is committed and durable, answers callers when
// their write or read is due, and checks the lease again after it has read.

import type { Effect, Persist } from "../../services/raftd/core/raft/machine.ts";
import { decodeConfiguration } from "../../services/raftd/core/raft/membership.ts";
import type { Configuration, Entry, ReadMode } from "../../services/raftd/core/raft/messages.ts";
import { EntryFeed } from "../../services/raftd/io/entry-feed.ts";
import type { StateFile } from "./disk.ts";
import type { Result } from "./history.ts";
import type { Command, SimState } from "./kv.ts";
import type { SimServer } from "./server.ts";
import { count, type World } from "./world.ts";

export type Request =
  | { readonly kind: "write"; readonly command: Command }
  | { readonly kind: "read"; readonly keys: readonly string[]; readonly mode: ReadMode };

/** A read is answered with its values. `refused`: was not done. `unknown`: may have been done. */
export type Answer =
  | { readonly kind: "done"; readonly result: Result }
  | { readonly kind: "refused" }
  | { readonly kind: "unknown" };

type Reply = (answer: Answer) => void;

interface WaitingRead {
  readonly keys: readonly string[];
  readonly reply: Reply;
  readonly mode: ReadMode;
}

export class StateThread {
  kv: SimState;
  configuration: Configuration;
  readonly #world: World;
  readonly #server: SimServer;
  readonly #feed: EntryFeed;
  #nextId: number;
  #isClosed = false;
  #isApplying = false;
  #isCheckpointing = false;
  #commitIndex = 0;
  #leaseUntilMs = 0;
  #batch: { command: Command; reply: Reply }[] = [];
  #readBatch: WaitingRead[] = [];
  #writes = new Map<number, Reply>();
  #atIndex = new Map<number, { term: number; id: number }>();
  #asked = new Map<number, WaitingRead>();
  #readsAt: { index: number; isLeased: boolean; read: WaitingRead }[] = [];

  constructor(world: World, server: SimServer, file: StateFile, lastIndex: number) {
    this.#world = world;
    this.#server = server;
    this.kv = file.kv;
    this.configuration = file.configuration;
    this.#feed = new EntryFeed(file.kv.index, lastIndex);
    this.#commitIndex = file.kv.index;
    this.#nextId = world.random.uint32() * 0x1_0000;
  }

  close(): void {
    this.#isClosed = true;
  }

  handle(request: Request, reply: Reply): void {
    if (request.kind === "write") {
      if (this.#batch.push({ command: request.command, reply }) === 1) {
        this.#server.later(this.#world.random.between(0, 1), () => this.#propose());
      }
      return;
    }
    const read: WaitingRead = { keys: request.keys, mode: request.mode, reply };
    if (request.mode === "default" && this.#server.clock.nowMs() < this.#leaseUntilMs) {
      this.#answerAt(this.#commitIndex, read, true);
    } else if (this.#readBatch.push(read) === 1) {
      this.#server.later(this.#world.random.between(0, 1), () => this.#ask());
    }
  }

  #propose(): void {
    const batch = this.#batch;
    this.#batch = [];
    const proposals = batch.map(({ command, reply }) => {
      const id = this.#nextId++;
      this.#writes.set(id, reply);
      return { id, kind: "command" as const, bytes: this.#world.states.encodeCommand(command) };
    });
    this.#server.input({ kind: "proposed", proposals });
  }

  #ask(): void {
    const batch = this.#readBatch;
    this.#readBatch = [];
    for (const mode of ["default", "consistent"] as const) {
      const ids: number[] = [];
      for (const read of batch.filter((r) => r.mode === mode)) {
        const id = this.#nextId++;
        this.#asked.set(id, read);
        ids.push(id);
      }
      if (ids.length > 0) this.#server.input({ kind: "read-requested", ids, mode });
    }
  }

  perform(effect: Effect): void {
    switch (effect.kind) {
      case "commit":
        this.#commitIndex = effect.index;
        this.#feed.committed(effect.index);
        return this.#applySoon();
      case "publish-lease":
        this.#leaseUntilMs = effect.untilMs;
        return;
      case "answer-proposals":
        effect.ids.forEach((id, i) => this.#placed(id, effect.firstIndex + i, effect.term));
        return;
      case "refuse-proposals": {
        const kind = effect.refusal === "lost" ? "unknown" : "refused";
        for (const id of effect.ids) this.#finish(id, { kind });
        return;
      }
      case "answer-reads":
        for (const id of effect.ids) {
          const read = this.#asked.get(id);
          this.#asked.delete(id);
          if (read) this.#answerAt(effect.index, read, false);
        }
        return;
      case "refuse-reads":
        for (const id of effect.ids) {
          this.#asked.get(id)?.reply({ kind: "refused" });
          this.#asked.delete(id);
        }
        return;
    }
  }

  persisting(persist: Persist): void {
    this.#feed.persisting(persist);
  }

  persisted(seq: number): void {
    this.#feed.persisted(seq);
    this.#applySoon();
  }

  #placed(id: number, index: number, term: number): void {
    if (!this.#writes.has(id)) return;
    // Applied already, and the entry was not recognised: another one took its place, or a snapshot
    // brought it.
    if (index <= this.kv.index) return this.#finish(id, { kind: "unknown" });
    this.#atIndex.set(index, { term, id });
  }

  #finish(id: number, answer: Answer): void {
    const reply = this.#writes.get(id);
    this.#writes.delete(id);
    reply?.(answer);
  }

  #applySoon(): void {
    if (this.#isApplying) return;
    this.#isApplying = true;
    const { random } = this.#world;
    const delayMs = random.chance(0.02) ? random.between(0, 100) : random.between(0, 1);
    this.#server.later(delayMs, () => this.#applyNow());
  }

  #applyNow(): void {
    this.#isApplying = false;
    while (!this.#isClosed) {
      const step = this.#feed.step();
      if (step.kind === "wait") break;
      if (step.kind === "entries") {
        for (const entry of step.entries) this.#apply(entry);
      } else {
        for (let i = 0; i < step.countMax; i++) {
          this.#apply(this.#server.disk.entryAt(step.fromIndex + i)!);
        }
        this.#feed.handed(step.fromIndex, step.countMax);
      }
    }
    this.#server.input({ kind: "applied", index: this.kv.index });
    this.#checkpointIfDue();
    this.#answerReads();
  }

  #apply(entry: Entry): void {
    const kv = this.kv;
    if (entry.index !== kv.index + 1) {
      throw new Error(`${this.#server.id} applies ${entry.index} after ${kv.index}`);
    }
    const outcome = kv.apply(entry);
    if (outcome && !outcome.isNew) count(this.#world, "repeated writes recognised");
    if (entry.kind === "configuration") {
      this.configuration = decodeConfiguration(entry.index, entry.bytes);
    }
    const answer: Answer = outcome ? { kind: "done", result: outcome.result } : { kind: "unknown" };
    this.#world.checks.applied(this.#server.id, kv);
    const placed = this.#atIndex.get(entry.index);
    this.#atIndex.delete(entry.index);
    if (entry.origin === this.#server.id) this.#finish(entry.id, answer);
    if (placed && placed.term !== entry.term) this.#finish(placed.id, { kind: "refused" });
  }

  #checkpointIfDue(): void {
    const { disk } = this.#server;
    if (this.#isCheckpointing) return;
    if (this.kv.index - disk.checkpoint.kv.index < this.#world.checkpointEvery) return;
    this.#isCheckpointing = true;
    const kv = this.kv.clone();
    const file = { kv, configuration: this.configuration };
    this.#world.checks.content(this.#server.id, kv);
    this.#server.later(this.#world.random.between(1, 50), () => {
      this.#isCheckpointing = false;
      if (kv.index <= disk.checkpoint.kv.index) return kv.close();
      disk.checkpoint.kv.close();
      disk.checkpoint = file;
      count(this.#world, "checkpoints");
      this.#server.input({ kind: "snapshot-taken", index: kv.index });
    });
  }

  /** An installed snapshot takes the place of the state. */
  replace(file: StateFile): void {
    this.kv.close();
    this.kv = file.kv;
    this.configuration = file.configuration;
    this.#world.checks.content(this.#server.id, this.kv);
    this.#feed.skipTo(file.kv.index);
    this.#answerReads();
  }

  #answerAt(index: number, read: WaitingRead, isLeased: boolean): void {
    this.#readsAt.push({ index, isLeased, read });
    if (index <= this.kv.index) this.#answerReads();
  }

  #answerReads(): void {
    const due = this.#readsAt.filter(({ index }) => index <= this.kv.index);
    if (due.length === 0) return;
    this.#readsAt = this.#readsAt.filter(({ index }) => index > this.kv.index);
    for (const { isLeased, read } of due) {
      const result = read.keys.map((key) => this.kv.get(key));
      const { random } = this.#world;
      if (!isLeased) {
        read.reply({ kind: "done", result });
      } else {
        // Between reading the rows and looking at the clock again the process may pause.
        this.#server.later(random.between(0, 2), () => {
          if (this.#server.clock.nowMs() < this.#leaseUntilMs) {
            read.reply({ kind: "done", result });
          } else this.handle({ kind: "read", keys: read.keys, mode: read.mode }, read.reply);
        });
      }
    }
  }
}
