// What must hold whatever happens, watched from outside the code: one leader per term, one vote per
// term, equal logs, complete leaders, equal states, acknowledged writes that stay.

import type { Effect } from "../../services/raftd/core/raft/machine.ts";
import type { Entry, Message } from "../../services/raftd/core/raft/messages.ts";
import { fold, hashBytes, hashText, type SimState } from "./kv.ts";
import { LogMirror } from "./log-mirror.ts";

/** A promise that was broken. */
export class Violation extends Error {
  override name = "Violation";
}

function claim(holds: boolean, text: () => string): asserts holds {
  if (!holds) throw new Violation(text());
}

interface KnownEntry {
  readonly hash: number;
  readonly prevTerm: number;
}

export class Checks {
  #leaders = new Map<number, string>();
  #votes = new Map<string, string>();
  /** Every entry ever written, by index and term. */
  #known = new Map<number, Map<number, KnownEntry>>();
  /** The term of each committed index, as the first server to commit it saw it. */
  #committed: number[] = [0];
  /** The term in which each index was committed. */
  #committedIn: number[] = [0];
  #digests = new Map<number, number>();
  #contents = new Map<number, number | string>();
  #mirrors = new Map<string, LogMirror>();
  #stamps = new Map<number, number>();
  electionCount = 0;

  get committedIndex(): number {
    return this.#committed.length - 1;
  }

  /** A server begins with what its disk holds. */
  started(id: string, mirror: LogMirror): void {
    this.#mirrors.set(id, mirror);
  }

  /** Before the shell acts on a server's effects. */
  effects(id: string, effects: readonly Effect[]): void {
    const mirror = this.#mirrors.get(id)!;
    for (const effect of effects) {
      switch (effect.kind) {
        case "persist":
          if (effect.reset) mirror.reset(effect.reset);
          if (effect.truncateFrom !== undefined) {
            claim(
              effect.truncateFrom > mirror.committedIndex,
              () => `${id} cuts its log at ${effect.truncateFrom}, below its commit index`,
            );
            mirror.truncateFrom(effect.truncateFrom);
          }
          for (const entry of effect.entries) this.#wrote(id, mirror, entry);
          break;
        case "publish-role":
          mirror.term = effect.term;
          if (effect.role === "leader") this.#leads(id, mirror, effect.term);
          break;
        case "commit":
          this.#commits(id, mirror, effect.index);
          break;
        case "send":
          this.#sent(id, effect.to, effect.message);
          break;
      }
    }
  }

  #leads(id: string, mirror: LogMirror, term: number): void {
    const other = this.#leaders.get(term);
    claim(other === undefined || other === id, () => `${other} and ${id} both lead term ${term}`);
    if (other === id) return;
    this.#leaders.set(term, id);
    this.electionCount++;
    for (let index = Math.max(1, mirror.baseIndex); index <= this.committedIndex; index++) {
      // A leader of an old term may be late to learn of its election.
      if (this.#committedIn[index]! >= term) break;
      this.#holdsCommitted(id, mirror, index);
    }
  }

  #holdsCommitted(id: string, mirror: LogMirror, index: number): void {
    const term = mirror.termAt(index), right = this.#committed[index];
    claim(
      term === right,
      () => `${id} lacks committed entry ${index} of term ${right}; it has term ${term}`,
    );
  }

  #wrote(id: string, mirror: LogMirror, entry: Entry): void {
    const prevTerm = mirror.termAt(entry.index - 1);
    mirror.append(entry);
    let hash = fold(hashText(`${entry.kind} ${entry.origin}`), entry.id);
    hash = fold(fold(hash, entry.stampMs), hashBytes(entry.bytes));
    let terms = this.#known.get(entry.index);
    if (!terms) this.#known.set(entry.index, terms = new Map());
    const known = terms.get(entry.term);
    if (!known) {
      terms.set(entry.term, { hash, prevTerm: prevTerm ?? -1 });
      return;
    }
    claim(
      known.hash === hash,
      () => `entry ${entry.index} of term ${entry.term} on ${id} has another content`,
    );
    claim(
      prevTerm === undefined || known.prevTerm === prevTerm,
      () => `logs part before entry ${entry.index} of term ${entry.term} on ${id}`,
    );
  }

  #commits(id: string, mirror: LogMirror, through: number): void {
    const from = mirror.committedIndex + 1;
    mirror.committedIndex = through;
    for (let index = Math.max(from, mirror.baseIndex); index <= through; index++) {
      const term = mirror.termAt(index);
      if (term === undefined) continue;
      const right = this.#committed[index];
      if (right === undefined) {
        claim(index === this.#committed.length, () => `${id} commits ${index} with a gap`);
        this.#committed.push(term);
        this.#committedIn.push(mirror.term);
      }
      claim(
        right === undefined || right === term,
        () => `${id} commits entry ${index} of term ${term}, but term ${right} was committed`,
      );
    }
  }

  #sent(id: string, to: string, m: Message): void {
    if (m.kind !== "vote-answer" || !m.granted) return;
    const vote = `${id} in term ${m.term}`;
    const other = this.#votes.get(vote);
    claim(other === undefined || other === to, () => `${vote} votes for ${other} and ${to}`);
    this.#votes.set(vote, to);
  }

  /** After a server has applied the entry at `kv.index`. */
  applied(id: string, kv: SimState): void {
    const digest = this.#digests.get(kv.index);
    if (digest === undefined) this.#digests.set(kv.index, kv.digest);
    claim(
      digest === undefined || digest === kv.digest,
      () => `${id} applied another history up to ${kv.index}`,
    );
    const stampMs = this.#stamps.get(kv.index - 1) ?? 0;
    this.#stamps.set(kv.index, kv.stampMs);
    claim(kv.stampMs >= stampMs, () => `the stamp falls at ${kv.index} on ${id}`);
  }

  /** Content of replicas at the same index, now and then, for it takes a walk over all rows. */
  content(id: string, kv: SimState): void {
    const hash = kv.contentHash();
    const known = this.#contents.get(kv.index);
    if (known === undefined) this.#contents.set(kv.index, hash);
    claim(
      known === undefined || known === hash,
      () => `${id} has another content at index ${kv.index}`,
    );
  }
}
