// This server's copy of the state: applies what consensus hands over, tells watchers what changed,
// then answers the callers that wait for it. While another state is being made or checked, all that
// comes waits in order.

import { CuriaError } from "#shared/errors.ts";
import type { Role } from "../core/raft/machine.ts";
import type { Configuration, Entry, ServerId } from "../core/raft/messages.ts";
import { isDamage } from "../state/recount.ts";
import type { Store } from "../state/store.ts";
import type { AppliedChanges, ApplyResult } from "../state/store-types.ts";
import type { Checkpoints } from "./checkpoints.ts";
import type { ConsensusLink } from "./consensus-link.ts";
import { unpackEntries } from "./entry-codec.ts";
import type { Proposals } from "./proposals.ts";
import type { ReadGate } from "./reads.ts";
import { type RestoreBuilder, restoreMarkOf } from "./restore-builder.ts";
import type { SnapshotTransfers } from "./snapshot-transfers.ts";
import { CHANGE_IDS_FROM, type MainEffect } from "./thread-messages.ts";

export interface Leadership {
  role: Role;
  term: number;
  leader: ServerId;
  /** The leader's first committed entry of its term; 0 until then. */
  readyIndex: number;
}

export interface ReplicaEvents {
  /** In log order, before any caller hears of it. */
  changed(changes: AppliedChanges | "everything", index: number): void;
  leadershipChanged(leadership: Leadership): void;
  configurationChanged(configuration: Configuration): void;
  applied(entries: number, tookMs: number): void;
  /** SQLite finds the state file damaged; all ends with the error. */
  damaged(): void;
  /** The core stopped for good: the process must end. */
  halted(reason: string): void;
  transferAnswered(id: number, refusal: string): void;
  /** Undefined: the change of the configuration is in the leader's log. */
  changeAnswered(id: number, refusal: string | undefined): void;
}

export interface ReplicaParts {
  /** The store is another one after a snapshot was installed. */
  files: { readonly current: Store };
  builder: RestoreBuilder;
  checkpoints: Checkpoints;
  link: ConsensusLink;
  proposals: Proposals;
  gate: ReadGate;
  transfers: SnapshotTransfers;
}

const STUCK_RETRY_MS = 250;

export class Replica {
  readonly #parts: ReplicaParts;
  readonly #events: ReplicaEvents;
  #leadership: Leadership = { role: "follower", term: 0, leader: "", readyIndex: 0 };
  #configuration: Configuration = { index: 0, servers: [] };
  #appliedIndex: number;
  #isStopped = false;
  #wasMember = false;
  #hasLeft = false;
  /** A state is being made or checked: what comes is put behind it. */
  #isHeld = false;
  readonly #postponed: (() => void)[] = [];
  #stuck: Entry[] = [];
  #stuckTimer: Timer | undefined;

  constructor(parts: ReplicaParts, events: ReplicaEvents) {
    this.#parts = parts;
    this.#events = events;
    this.#appliedIndex = parts.files.current.applied().index;
  }

  get leadership(): Readonly<Leadership> {
    return this.#leadership;
  }

  get configuration(): Configuration {
    return this.#configuration;
  }

  /** It was a member since the start of the process and is none any more: nobody tells it anything. */
  get hasLeft(): boolean {
    return this.#hasLeft;
  }

  get appliedIndex(): number {
    return this.#appliedIndex;
  }

  turn(packed: readonly Uint8Array[], effects: readonly MainEffect[]): void {
    if (this.#isStopped) return;
    for (const each of packed) this.#inOrder(() => this.#take(each));
    for (const effect of effects) {
      // It ends all else.
      if (effect.kind === "halt") this.#carryOut(effect);
      else this.#inOrder(() => this.#carryOut(effect));
    }
  }

  #inOrder(work: () => void): void {
    if (this.#isHeld) this.#postponed.push(work);
    else work();
  }

  /** Nothing else happens until the promise has settled and `then` has run. */
  #hold<Result>(work: Promise<Result>, then: (result: Result) => void): void {
    this.#setHeld(true);
    work.then((result) => {
      if (this.#isStopped) return;
      then(result);
      this.#setHeld(false);
      while (!this.#isHeld && this.#postponed.length > 0) this.#postponed.shift()!();
    }).catch((error) => {
      if (this.#isStopped) return;
      this.#isStopped = true;
      this.#events.halted(`the state cannot be replaced: ${(error as Error).message}`);
    });
  }

  #setHeld(isHeld: boolean): void {
    const { proposals, gate } = this.#parts;
    this.#isHeld = proposals.isHeld = gate.isHeld = isHeld;
  }

  stop(): void {
    this.#isStopped = true;
    this.#parts.checkpoints.stop();
    clearTimeout(this.#stuckTimer);
    this.#parts.files.current.checkpoint();
  }

  #take(packed: Uint8Array): void {
    // Log.db's and a snapshot's ends may overlap with what the state has.
    const entries = unpackEntries(packed).filter(({ index }) => index > this.#appliedIndex);
    if (this.#stuck.length > 0) { for (const entry of entries) this.#stuck.push(entry); }
    else this.#applyUpToRestore(entries);
  }

  /** There was no room to apply these: reads go on as of before, and they are tried again. */
  #applyLater(entries: readonly Entry[]): void {
    this.#stuck = [...entries];
    this.#stuckTimer = setTimeout(() => {
      this.#inOrder(() => {
        const again = this.#stuck.filter(({ index }) => index > this.#appliedIndex);
        this.#stuck = [];
        this.#applyUpToRestore(again);
      });
    }, STUCK_RETRY_MS);
  }

  #applyUpToRestore(entries: readonly Entry[]): void {
    const at = entries.findIndex((entry) => restoreMarkOf(entry) !== undefined);
    if (at < 0) return void this.#apply(entries);
    if (!this.#apply(entries.slice(0, at))) return void this.#stuck.push(...entries.slice(at));
    const rest = entries.slice(at + 1);
    if (rest.length > 0) this.#postponed.unshift(() => this.#applyUpToRestore(rest));
    this.#restore(entries[at]!);
  }

  /** False: the disk is full, and nothing was done. */
  #apply(entries: readonly Entry[]): boolean {
    if (entries.length === 0) return true;
    const { files, link, proposals, gate, checkpoints } = this.#parts;
    const startedMs = performance.now();
    let applied: ApplyResult;
    try {
      applied = files.current.apply(entries);
    } catch (error) {
      if (isDamage(error)) this.#events.damaged();
      if (!(error instanceof CuriaError) || error.code !== "disk-full") throw error;
      this.#applyLater(entries);
      return false;
    }
    const { outcomes, changes } = applied;
    this.#appliedIndex = entries[entries.length - 1]!.index;
    this.#events.changed(changes, this.#shownIndex);
    entries.forEach((entry, n) => proposals.applied(entry, outcomes[n]));
    gate.applied(this.#appliedIndex);
    link.applied(this.#appliedIndex);
    this.#events.applied(entries.length, performance.now() - startedMs);
    checkpoints.applied(this.#appliedIndex);
    return true;
  }

  get #shownIndex(): number {
    return this.#appliedIndex + this.#parts.files.current.applied().indexBase;
  }

  /** The archive that came with the entries before this one takes the place of the state. */
  #restore(entry: Entry): void {
    const { files, builder, proposals } = this.#parts;
    this.#hold(builder.build(files.current, entry), (made) => {
      if (made.kind === "built") {
        builder.install(made, entry);
        this.#switched();
      } else {
        // For the state it is an entry like any barrier.
        this.#apply([entry]);
      }
      proposals.applied(entry, builder.outcomeOf(made, this.#shownIndex));
    });
  }

  #carryOut(effect: MainEffect): void {
    const { proposals, gate, transfers } = this.#parts;
    switch (effect.kind) {
      case "answer-proposals":
        if (isChange(effect.ids)) return this.#events.changeAnswered(effect.ids[0]!, undefined);
        return proposals.answered(effect.ids, effect.firstIndex, effect.term);
      case "refuse-proposals":
        if (!isChange(effect.ids)) {
          return proposals.refused(effect.ids, effect.refusal, effect.message);
        }
        return this.#events.changeAnswered(effect.ids[0]!, effect.message || effect.refusal);
      case "answer-reads":
        return gate.answered(effect.ids, effect.index);
      case "refuse-reads":
        return gate.refused(effect.ids, effect.refusal);
      case "answer-transfer":
        return this.#events.transferAnswered(effect.id, effect.refusal);
      case "publish-role": {
        const { role, term, leader, readyIndex } = effect;
        this.#leadership = { role, term, leader, readyIndex };
        this.#noteMembership();
        if (leader !== "") {
          proposals.retry();
          gate.retry();
        }
        return this.#events.leadershipChanged(this.#leadership);
      }
      case "publish-configuration":
        this.#configuration = effect.configuration;
        this.#noteMembership();
        return this.#events.configurationChanged(effect.configuration);
      case "read-snapshot":
        return transfers.read(effect);
      case "close-snapshot":
        return transfers.close(effect);
      case "write-snapshot":
        return transfers.write(effect);
      case "install-snapshot":
        return this.#install(effect);
      case "halt":
        this.#isStopped = true;
        return this.#events.halted(effect.reason);
    }
  }

  /** A leader that removes itself leads until that is committed. */
  #noteMembership(): void {
    const { proposals, gate } = this.#parts;
    const isMember = this.#configuration.servers.some(({ id }) => id === proposals.origin);
    const hasLeft = this.#wasMember && !isMember && this.#leadership.role !== "leader";
    if (isMember) this.#wasMember = true;
    if (hasLeft === this.#hasLeft) return;
    this.#hasLeft = hasLeft;
    gate.hasLeft = hasLeft;
    if (hasLeft) {
      proposals.giveUp();
      gate.giveUp();
    }
  }

  #install(effect: MainEffect & { kind: "install-snapshot" }): void {
    const { transfers } = this.#parts;
    this.#hold(transfers.verify(effect), (isGood) => {
      if (transfers.install(effect, isGood)) this.#switched();
    });
  }

  /** The state is another file, further on. */
  #switched(): void {
    const { files, proposals, gate, link, checkpoints } = this.#parts;
    this.#appliedIndex = files.current.applied().index;
    checkpoints.installed(this.#appliedIndex);
    proposals.skipped(this.#appliedIndex);
    gate.applied(this.#appliedIndex);
    link.applied(this.#appliedIndex);
    this.#events.changed("everything", this.#shownIndex);
  }
}

/** Changes of the configuration are proposed one by one. */
function isChange(ids: readonly number[]): boolean {
  return ids.length === 1 && ids[0]! >= CHANGE_IDS_FROM;
}
