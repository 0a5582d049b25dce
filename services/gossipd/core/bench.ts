// A pool's machine on a workbench: a clock that the test moves, messages in, effects out.
import { Random } from "#shared/random.ts";
import type { Effect, Input } from "./border.ts";
import { GossipPool } from "./pool.ts";
import { consulVersions, lanProfile, type Settings } from "./settings.ts";
import { decodeMessage, encodeMessage, type Message } from "./wire/memberlist.ts";
import { decodeSerf, encodeSerf, type SerfMessage } from "./wire/serf.ts";
import { encodeTags } from "./wire/tags.ts";

export const settings: Settings = {
  ...lanProfile,
  name: "me",
  address: Uint8Array.of(10, 0, 0, 1),
  port: 8301,
  tags: new Map([["role", "web"]]),
  versions: consulVersions,
  admission: { kind: "open" },
  envelopeOverheadBytes: 0,
};
export const addressOf = (n: number) => Uint8Array.of(10, 0, 0, n);
export const from = { address: addressOf(9), port: 8301 };
export const noBytes = new Uint8Array();

/** A pool with a clock that the test moves; timers fire when it passes them. */
export class Bench {
  readonly pool: GossipPool;
  nowMs = 1_000;
  timers: { timer: string; token: number; dueMs: number }[] = [];
  all: Effect[] = [];

  constructor(changes: Partial<Settings> = {}) {
    this.pool = new GossipPool({ ...settings, ...changes }, new Random(7));
    this.step({ kind: "started" });
  }

  step(input: Input): Effect[] {
    const effects = this.pool.step(input, this.nowMs);
    for (const effect of effects) {
      if (effect.kind !== "set-timer") continue;
      const { timer, token, afterMs } = effect;
      this.timers.push({ timer, token, dueMs: this.nowMs + afterMs });
    }
    this.all.push(...effects);
    return effects;
  }

  hear(...messages: Message[]): Effect[] {
    return this.step({ kind: "received-packet", from, messages: messages.map(encodeMessage) });
  }

  hearSerf(message: SerfMessage): Effect[] {
    return this.hear({ kind: "user", body: encodeSerf(message) });
  }

  alive(n: number, incarnation = 1, changes: Partial<Settings> = {}): Effect[] {
    return this.hear({ kind: "alive", body: aliveOf(n, incarnation, changes) });
  }

  /** Lets time pass, firing timers in their order. */
  pass(ms: number): Effect[] {
    const endMs = this.nowMs + ms;
    const effects: Effect[] = [];
    while (true) {
      this.timers.sort((a, b) => a.dueMs - b.dueMs);
      const next = this.timers[0];
      if (!next || next.dueMs > endMs) break;
      this.timers.shift();
      this.nowMs = Math.max(this.nowMs, next.dueMs);
      effects.push(...this.step({ kind: "timer-fired", ...next }));
    }
    this.nowMs = endMs;
    return effects;
  }

  status(name: string): string | undefined {
    return this.pool.members().find((member) => member.name === name)?.status;
  }
}

export function aliveOf(n: number, incarnation: number, changes: Partial<Settings> = {}) {
  return {
    Addr: changes.address ?? addressOf(n),
    Incarnation: incarnation,
    Meta: encodeTags(changes.tags ?? new Map()),
    Node: `n${n}`,
    Port: changes.port ?? 8301,
    Vsn: changes.versions ?? consulVersions,
  };
}

/** The messages that the effects send, decoded. */
export function sent(effects: readonly Effect[]): Message[] {
  return effects.flatMap((effect) =>
    effect.kind === "send-packet" ? effect.messages.map(decodeMessage) : []
  );
}

export const ofKind = <K extends Message["kind"]>(effects: readonly Effect[], kind: K) =>
  sent(effects).filter((message): message is Extract<Message, { kind: K }> =>
    message.kind === kind
  );
export const serfSent = (effects: readonly Effect[]) =>
  ofKind(effects, "user").map((message) => decodeSerf(message.body));
export const reports = (effects: readonly Effect[]) =>
  effects.flatMap((effect) =>
    effect.kind === "report" ? [`${effect.member.name} ${effect.change}`] : []
  );
