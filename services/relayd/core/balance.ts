// Which server a caller's connection uses. It stays with one, because watches and what confirms
// them must meet on one server; connections spread over the servers, move when theirs fails, and
// are dealt out anew from time to time, so that a server that came back gets its share.

import type { Random } from "#shared/random.ts";
import type { Server } from "./servers.ts";

/** A server that refused a connection is the last choice for so long. */
const avoidMs = 2_000;

export class Balance {
  readonly #random: Random;
  /** Caller and datacenter → server id. */
  readonly #assigned = new Map<number, Map<string, string>>();
  /** Server id → until when others are preferred. */
  readonly #avoided = new Map<string, number>();

  constructor(random: Random) {
    this.#random = random;
  }

  /** The server for a caller's calls to a datacenter; undefined when there is none. */
  pick(caller: number, candidates: readonly Server[], nowMs: number): Server | undefined {
    const first = candidates[0];
    if (first === undefined) return undefined;
    let ofCaller = this.#assigned.get(caller);
    const current = ofCaller?.get(first.datacenter);
    const held = candidates.find((server) => server.id === current);
    if (held !== undefined && !this.#isAvoided(held.id, nowMs)) return held;
    const chosen = this.#choose(candidates, nowMs);
    if (ofCaller === undefined) this.#assigned.set(caller, ofCaller = new Map());
    ofCaller.set(first.datacenter, chosen.id);
    return chosen;
  }

  failed(id: string, nowMs: number): void {
    this.#avoided.set(id, nowMs + avoidMs);
  }

  answered(id: string): void {
    this.#avoided.delete(id);
  }

  /** The caller's connection closed. */
  released(caller: number): void {
    this.#assigned.delete(caller);
  }

  /** Deals the callers of a datacenter out anew; returns those that got another server. */
  rebalance(candidates: readonly Server[], nowMs: number): number[] {
    const datacenter = candidates[0]?.datacenter;
    if (datacenter === undefined || candidates.length < 2) return [];
    const before = new Map<number, string>();
    for (const [caller, servers] of this.#assigned) {
      const id = servers.get(datacenter);
      if (id === undefined) continue;
      before.set(caller, id);
      servers.delete(datacenter);
    }
    const callers = this.#random.shuffle([...before.keys()]);
    return callers.filter((caller) => {
      return this.pick(caller, candidates, nowMs)!.id !== before.get(caller);
    });
  }

  /** The least used of the sound ones; chance among equals, so that nodes differ. */
  #choose(candidates: readonly Server[], nowMs: number): Server {
    const sound = candidates.filter((server) => !this.#isAvoided(server.id, nowMs));
    const counts = this.#counts();
    const pool = sound.length > 0 ? sound : candidates;
    const least = Math.min(...pool.map((server) => counts.get(server.id) ?? 0));
    return this.#random.pick(pool.filter((server) => (counts.get(server.id) ?? 0) === least));
  }

  #counts(): Map<string, number> {
    const counts = new Map<string, number>();
    for (const servers of this.#assigned.values()) {
      for (const id of servers.values()) counts.set(id, (counts.get(id) ?? 0) + 1);
    }
    return counts;
  }

  #isAvoided(id: string, nowMs: number): boolean {
    const untilMs = this.#avoided.get(id);
    if (untilMs === undefined) return false;
    if (nowMs < untilMs) return true;
    this.#avoided.delete(id);
    return false;
  }
}
