// A stage for tests of one server: the test plays its disk and its peers.

import { Random } from "#shared/random.ts";
import type { Effect, Input, Restored } from "./machine.ts";
import { decodeConfiguration, encodeConfiguration } from "./membership.ts";
import type { Entry, Message, Server } from "./messages.ts";
import { Raft } from "./raft.ts";
import { type RaftSettings, scaledSettings } from "./settings.ts";

const noBytes = new Uint8Array(0);

export function servers(...ids: string[]): Server[] {
  return ids.map((id) => ({ id, address: `${id}:8300`, suffrage: "voter" }));
}

export function command(index: number, term: number, stampMs = 0): Entry {
  return { index, term, kind: "command", stampMs, origin: "", id: 0, bytes: noBytes };
}

export function configurationEntry(index: number, term: number, members: Server[]): Entry {
  const bytes = encodeConfiguration(members);
  return { index, term, kind: "configuration", stampMs: 0, origin: "", id: 0, bytes };
}

export function restoredFrom(entries: Entry[], over: Partial<Restored> = {}): Restored {
  return {
    hardState: { term: entries.at(-1)?.term ?? 0, votedFor: "" },
    base: { index: 0, term: 0 },
    lastIndex: entries.length,
    termStarts: entries.filter((e, i) => e.term !== entries[i - 1]?.term)
      .map((e) => ({ term: e.term, firstIndex: e.index })),
    tail: entries,
    stampMs: 0,
    applied: { index: 0, term: 0 },
    configurations: entries.filter((e) => e.kind === "configuration")
      .map((e) => decodeConfiguration(e.index, e.bytes)),
    ...over,
  };
}

/** One server whose disk and peers are played by the test. */
export class Solo {
  readonly raft: Raft;
  nowMs = 0;
  /** Whether writes are answered at once. */
  isDiskQuick = true;
  seen: Effect[] = [];

  constructor(restored: Restored, settings: Partial<RaftSettings> = {}) {
    const options = { id: "a", settings: scaledSettings(1, settings), random: new Random(1) };
    this.raft = new Raft({ ...options, restored });
    this.input({ kind: "started", wallMs: 1_000_000 });
  }

  input(input: Input): Effect[] {
    const effects = this.raft.step(input, this.nowMs);
    this.seen.push(...effects);
    for (const effect of effects) {
      if (effect.kind === "persist" && this.isDiskQuick) {
        effects.push(...this.input({ kind: "persisted", seq: effect.seq }));
      }
    }
    return effects;
  }

  receive(from: string, message: Message): Effect[] {
    return this.input({ kind: "received", from, message });
  }

  tick(afterMs: number): Effect[] {
    this.nowMs += afterMs;
    return this.input({ kind: "timer-fired", wallMs: 1_000_000 + this.nowMs });
  }

  /** Lets it win the next election with b's votes, and b confirm its first entry. */
  lead(): void {
    this.tick(this.raft.deadlineMs - this.nowMs);
    const asked = this.raft.status(this.nowMs).term + 1;
    this.receive("b", {
      kind: "pre-vote-answer",
      term: asked - 1,
      askedTerm: asked,
      granted: true,
    });
    this.receive("b", { kind: "vote-answer", term: asked, granted: true });
    if (this.status.role !== "leader") throw new Error("expected it to win");
    this.confirm("b");
  }

  /** The peer has all of the log, and hears the leader. */
  confirm(peer: string): Effect[] {
    const { term, lastIndex } = this.raft.status(this.nowMs);
    const heard = only(this.seen, "send").map(({ message }) => message);
    const round = heard.findLast((message) => message.kind === "heartbeat")!.round;
    return this.receive(peer, {
      kind: "heartbeat-answer",
      term,
      round,
      sentMs: this.nowMs,
      promiseMs: 150,
      verifiedIndex: lastIndex,
      matchIndex: lastIndex,
    });
  }

  propose(id: number, bytes = noBytes): Effect[] {
    return this.input({ kind: "proposed", proposals: [{ id, kind: "command", bytes }] });
  }

  get status() {
    return this.raft.status(this.nowMs);
  }
}

export function kinds(effects: readonly Effect[]): string[] {
  return effects.map((e) => (e.kind === "send" ? `${e.to} ${e.message.kind}` : e.kind));
}

export function only<K extends Effect["kind"]>(effects: readonly Effect[], kind: K) {
  return effects.filter((e): e is Extract<Effect, { kind: K }> => e.kind === kind);
}
