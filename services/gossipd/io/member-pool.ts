// One pool as the daemon uses it: orders that are answered, and listeners for what happens.
import { CuriaError } from "#shared/errors.ts";
import type { KeyOperation, KeysOutcome, Member, MemberChange, Peer } from "../core/border.ts";
import { saveKeyring } from "./keyring-file.ts";
import { type LoopOptions, type OutsideEffect, PoolLoop } from "./loop.ts";
import { resolvePeers } from "./resolve.ts";

export interface PoolLog {
  debug(fields: object, message: string): void;
  info(fields: object, message: string): void;
  warn(fields: object, message: string): void;
  error(fields: object, message: string): void;
}

export interface MemberPoolOptions extends Omit<LoopOptions, "outside"> {
  /** "lan" or "wan", in logs. */
  poolName: string;
  log: PoolLog;
  /** Where the keyring is written after a change. */
  keyringPath?: string | undefined;
}

export interface JoinOutcome {
  joined: number;
  errors: string[];
}

type MemberListener = (change: MemberChange, member: Member) => void;
type EventListener = (name: string, payload: Uint8Array, lTime: number) => void;

export class MemberPool {
  readonly loop: PoolLoop;
  readonly #options: MemberPoolOptions;
  readonly #joins = new Map<number, (outcome: JoinOutcome) => void>();
  readonly #keys = new Map<number, (outcome: KeysOutcome | CuriaError) => void>();
  readonly #leaving: (() => void)[] = [];
  readonly #memberListeners = new Set<MemberListener>();
  readonly #eventListeners = new Set<EventListener>();
  #lastOrder = 0;
  #refusal: string | undefined;
  #hasLeft = false;

  private constructor(options: MemberPoolOptions, loop: PoolLoop) {
    this.#options = options;
    this.loop = loop;
  }

  static async open(options: MemberPoolOptions): Promise<MemberPool> {
    let pool: MemberPool | undefined = undefined;
    const early: OutsideEffect[] = [];
    const loop = await PoolLoop.open({
      ...options,
      outside: (effect) => pool ? pool.#hear(effect) : early.push(effect),
    });
    pool = new MemberPool(options, loop);
    for (const effect of early) pool.#hear(effect);
    return pool;
  }

  members(): Member[] {
    return this.loop.machine.members();
  }

  onMember(listener: MemberListener): () => void {
    this.#memberListeners.add(listener);
    return () => this.#memberListeners.delete(listener);
  }

  onEvent(listener: EventListener): void {
    this.#eventListeners.add(listener);
  }

  async join(addresses: readonly string[], replay = false): Promise<JoinOutcome> {
    const { peers, errors } = await resolvePeers(addresses, this.loop.port);
    const outcome = await this.joinPeers(peers, replay);
    return { joined: outcome.joined, errors: [...errors, ...outcome.errors] };
  }

  joinPeers(peers: Peer[], replay = false): Promise<JoinOutcome> {
    if (peers.length === 0) return Promise.resolve({ joined: 0, errors: [] });
    const join = ++this.#lastOrder;
    return new Promise((resolve) => {
      this.#joins.set(join, resolve);
      this.loop.step({ kind: "join-requested", join, peers, ignoreOldEvents: !replay });
    });
  }

  /** Resolves when the others know; the pool goes on answering until it is stopped. */
  leave(): Promise<void> {
    if (this.#hasLeft) return Promise.resolve();
    return new Promise((resolve) => {
      this.#leaving.push(resolve);
      this.loop.step({ kind: "leave-requested" });
    });
  }

  forceLeave(name: string, prune: boolean): void {
    this.loop.step({ kind: "force-leave-requested", name, prune });
  }

  setTags(tags: ReadonlyMap<string, string>): void {
    this.#order(() => this.loop.step({ kind: "tags-changed", tags }));
  }

  fireEvent(name: string, payload: Uint8Array): void {
    this.#order(() => this.loop.step({ kind: "event-fired", name, payload, coalesce: false }));
  }

  keys(operation: KeyOperation, key: Uint8Array | undefined, relayFactor: number) {
    const ask = ++this.#lastOrder;
    return new Promise<KeysOutcome>((resolve, reject) => {
      this.#keys.set(
        ask,
        (result) => result instanceof CuriaError ? reject(result) : resolve(result),
      );
      const order = { kind: "keys-asked", ask, operation, relayFactor } as const;
      this.loop.step(key ? { ...order, key } : order);
    });
  }

  /** Orders that are refused at once say so in the same step. */
  #order(act: () => void): void {
    this.#refusal = undefined;
    act();
    if (this.#refusal !== undefined) throw new CuriaError("failed-precondition", this.#refusal);
  }

  #hear(effect: OutsideEffect): void {
    const { log, poolName: pool } = this.#options;
    switch (effect.kind) {
      case "report":
        log.info({ pool, member: effect.member.name }, `member ${effect.change}`);
        for (const listener of this.#memberListeners) listener(effect.change, effect.member);
        return;
      case "user-event":
        for (const listener of this.#eventListeners) {
          listener(effect.name, effect.payload, effect.lTime);
        }
        return;
      case "joined": {
        const { contactedCount, errors, join } = effect;
        this.#joins.get(join)?.({ joined: contactedCount, errors });
        this.#joins.delete(join);
        return;
      }
      case "left":
        this.#hasLeft = true;
        for (const resolve of this.#leaving.splice(0)) resolve();
        return;
      case "keys-answered":
        this.#keys.get(effect.ask)?.(effect.outcome);
        this.#keys.delete(effect.ask);
        return;
      case "refused":
        return this.#refused(effect);
      case "keyring-changed":
        return this.#saveKeyring();
      case "conflict-lost":
        log.error({ pool }, "another node has our name, and the majority sides with it");
        return;
      case "note":
        log[effect.level]({ pool }, effect.message);
        return;
      case "query":
      case "query-acked":
      case "query-responded":
      case "query-ended":
        return;
      default:
        effect satisfies never;
    }
  }

  #refused(effect: Extract<OutsideEffect, { kind: "refused" }>): void {
    this.#refusal = effect.reason;
    if (effect.order !== "keys-asked" || effect.ask === undefined) return;
    this.#keys.get(effect.ask)?.(new CuriaError("failed-precondition", effect.reason));
    this.#keys.delete(effect.ask);
  }

  #saveKeyring(): void {
    const { keyringPath, log, poolName: pool } = this.#options;
    const { keyring } = this.loop;
    if (keyringPath === undefined || keyring === undefined) return;
    try {
      saveKeyring(keyringPath, keyring);
    } catch (error) {
      log.error({ pool, err: error }, `the keyring could not be written to ${keyringPath}`);
    }
  }

  stop(): Promise<void> {
    return this.loop.stop();
  }
}
