// When sessions with a TTL end, decided on the leader (Consul: agent/consul session_ttl). Renewals
// are known here alone; a new leader grants every session one fresh TTL, so nobody loses a lock to
// an election.

import { sessionTtlMs } from "#shared/consul/session.ts";
import type { Machine } from "#shared/machine.ts";

export interface SessionRow {
  readonly id: string;
  /** As the client wrote it; "" is none. */
  readonly ttl: string;
}

export type ExpiryInput =
  /** This server leads, and these are all sessions. */
  | { readonly kind: "led"; readonly sessions: readonly SessionRow[] }
  | { readonly kind: "deposed" }
  | { readonly kind: "created"; readonly session: SessionRow }
  | { readonly kind: "destroyed"; readonly id: string }
  | { readonly kind: "renewed"; readonly id: string }
  | { readonly kind: "timer-fired"; readonly token: number };

export type ExpiryEffect =
  /** Propose its end, with reason `ttl`. */
  | { readonly kind: "destroy"; readonly id: string }
  | { readonly kind: "set-timer"; readonly token: number; readonly afterMs: number };

/** Consul keeps a session for twice its TTL, for clients with slow clocks and networks. */
const ttlFactor = 2;
const tickMs = 250;
/** A tick that is later than this means that renewals may wait unread: nobody expires by it. */
const lateMs = 100;
const retryMs = 10_000;
const retriesMax = 6;

interface Deadline {
  readonly ttlMs: number;
  atMs: number;
  tries: number;
}

export class Expiry implements Machine<ExpiryInput, ExpiryEffect> {
  readonly #deadlines = new Map<string, Deadline>();
  #token = 0;
  #tickAtMs = 0;
  #isLeader = false;

  /** Sessions that are watched. */
  get count(): number {
    return this.#deadlines.size;
  }

  step(input: ExpiryInput, nowMs: number): ExpiryEffect[] {
    switch (input.kind) {
      case "led":
        return this.#lead(input.sessions, nowMs);
      case "deposed":
        this.#isLeader = false;
        this.#deadlines.clear();
        return [];
      case "created":
        if (this.#isLeader) this.#watch(input.session, nowMs);
        return [];
      case "destroyed":
        this.#deadlines.delete(input.id);
        return [];
      case "renewed":
        this.#renew(input.id, nowMs);
        return [];
      case "timer-fired":
        return input.token === this.#token && this.#isLeader ? this.#tick(nowMs) : [];
      default:
        return input satisfies never;
    }
  }

  #lead(sessions: readonly SessionRow[], nowMs: number): ExpiryEffect[] {
    this.#isLeader = true;
    this.#deadlines.clear();
    for (const session of sessions) this.#watch(session, nowMs);
    return [this.#nextTick(nowMs)];
  }

  #watch({ id, ttl }: SessionRow, nowMs: number): void {
    const ttlMs = sessionTtlMs(ttl);
    if (ttlMs > 0) this.#deadlines.set(id, { ttlMs, atMs: nowMs + ttlFactor * ttlMs, tries: 0 });
  }

  #renew(id: string, nowMs: number): void {
    const deadline = this.#deadlines.get(id);
    // One whose end is proposed cannot be saved: the proposal may be in the log.
    if (deadline === undefined || deadline.tries > 0) return;
    deadline.atMs = nowMs + ttlFactor * deadline.ttlMs;
  }

  #tick(nowMs: number): ExpiryEffect[] {
    const latenessMs = nowMs - this.#tickAtMs;
    if (latenessMs > lateMs) {
      for (const deadline of this.#deadlines.values()) deadline.atMs += latenessMs;
      return [this.#nextTick(nowMs)];
    }
    const effects: ExpiryEffect[] = [];
    for (const [id, deadline] of this.#deadlines) {
      if (deadline.atMs > nowMs) continue;
      effects.push({ kind: "destroy", id });
      // Until the end is seen: the proposal may have been lost.
      deadline.atMs = nowMs + retryMs * 2 ** Math.min(deadline.tries, retriesMax);
      deadline.tries++;
    }
    effects.push(this.#nextTick(nowMs));
    return effects;
  }

  #nextTick(nowMs: number): ExpiryEffect {
    this.#tickAtMs = nowMs + tickMs;
    return { kind: "set-timer", token: ++this.#token, afterMs: tickMs };
  }
}
