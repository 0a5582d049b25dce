// The leader's hand that ends sessions whose TTL passed, forgets old tombstones and old clients.

import { Command, type CommandInput } from "#proto/messages.js";
import type { Log } from "#shared/log.ts";
import { Expiry, type ExpiryInput } from "../core/duties/expiry.ts";
import { Tombstones, type TombstonesInput } from "../core/duties/tombstones.ts";
import type { Store } from "../state/store.ts";
import type { AppliedChanges } from "../state/store-types.ts";
import { bootTimeMs } from "./clock.ts";
import type { Proposals } from "./proposals.ts";

const APPLY_TIMEOUT_MS = 10_000;
/** Outcomes of clients that were silent for so long are asked for by nobody any more. */
const CLIENT_AGE_MAX_MS = 24 * 3_600_000;
const CLIENT_SWEEP_MS = 3_600_000;
const everyKey = new Uint8Array(0);

export class ExpiryKeeper {
  readonly #files: { readonly current: Store };
  readonly #proposals: Proposals;
  readonly #log: Log;
  readonly #expiry = new Expiry();
  readonly #tombstones = new Tombstones();
  #isLeader = false;
  #sessionTimer: Timer | undefined;
  #tombstoneTimer: Timer | undefined;
  #clientTimer: Timer | undefined;

  constructor(files: { readonly current: Store }, proposals: Proposals, log: Log) {
    this.#files = files;
    this.#proposals = proposals;
    this.#log = log;
  }

  lead(): void {
    this.#isLeader = true;
    this.#stepSessions({ kind: "led", sessions: this.#files.current.tables.sessions.list() });
    this.#stepTombstones({ kind: "led", highestIndex: this.#highestTombstone() });
    this.#clientTimer ??= setInterval(() => {
      const beforeStampMs = this.#files.current.applied().stampMs - CLIENT_AGE_MAX_MS;
      this.#propose({ expireClients: { beforeStampMs } });
    }, CLIENT_SWEEP_MS);
  }

  depose(): void {
    if (!this.#isLeader) return;
    this.#isLeader = false;
    this.#stepSessions({ kind: "deposed" });
    this.#stepTombstones({ kind: "deposed" });
    this.stop();
  }

  /** Undefined: this server does not know; only the leader does. */
  renew(id: string): void {
    this.#stepSessions({ kind: "renewed", id });
  }

  changed(changes: AppliedChanges | "everything"): void {
    if (!this.#isLeader) return;
    if (changes === "everything") return this.lead();
    for (const group of changes.groups) {
      for (const change of group.changes) {
        if (change.kind !== "session") continue;
        const { session } = change;
        if (change.deleted) this.#stepSessions({ kind: "destroyed", id: session.id });
        else this.#stepSessions({ kind: "created", session });
      }
    }
  }

  stop(): void {
    clearTimeout(this.#sessionTimer);
    clearTimeout(this.#tombstoneTimer);
    clearInterval(this.#clientTimer);
    this.#clientTimer = undefined;
  }

  #stepSessions(input: ExpiryInput): void {
    for (const effect of this.#expiry.step(input, bootTimeMs())) {
      switch (effect.kind) {
        case "destroy":
          this.#log.info({ session: effect.id }, "session expired");
          this.#propose({ session: { destroy: effect.id, reason: "ttl" } });
          break;
        case "set-timer": {
          const { token } = effect;
          clearTimeout(this.#sessionTimer);
          this.#sessionTimer = setTimeout(
            () => this.#stepSessions({ kind: "timer-fired", token }),
            effect.afterMs,
          );
          break;
        }
        default:
          effect satisfies never;
      }
    }
  }

  #stepTombstones(input: TombstonesInput): void {
    for (const effect of this.#tombstones.step(input, bootTimeMs())) {
      switch (effect.kind) {
        case "reap":
          this.#propose({ reapTombstones: { throughIndex: effect.throughIndex } });
          break;
        case "set-timer": {
          const { token } = effect;
          clearTimeout(this.#tombstoneTimer);
          this.#tombstoneTimer = setTimeout(() =>
            this.#stepTombstones({
              kind: "timer-fired",
              token,
              highestIndex: this.#highestTombstone(),
            }), effect.afterMs);
          break;
        }
        default:
          effect satisfies never;
      }
    }
  }

  #highestTombstone(): number {
    return this.#files.current.tables.kv.tombstones.highest(everyKey);
  }

  /** What is lost comes again: the machines repeat what they see undone. */
  #propose(command: CommandInput): void {
    this.#proposals.propose(Command.encode(command).finish(), undefined, APPLY_TIMEOUT_MS)
      .catch((error) => this.#log.warn({ err: error }, "duty not done yet"));
  }
}
