// Whether this server leads, asked of raftd, and what the leader's cad does then.

import { Raft } from "#proto/services.ts";
import type { BusClient } from "#shared/bus/client.ts";
import type { Log } from "#shared/log.ts";
import { toCuriaError } from "#shared/errors.ts";
import type { Authority } from "./authority.ts";

const pollMs = 1_000;
/** Until there is a root: a cluster that starts must not wait for it. */
const eagerPollMs = 100;
const tidyMs = 3_600_000;

export class Leadership {
  readonly #state: BusClient;
  readonly #authority: Authority;
  readonly #isReady: () => boolean;
  readonly #log: Log;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #isStopped = false;
  #ensuredAtMs = -Infinity;
  isLeader = false;

  constructor(state: BusClient, authority: Authority, isReady: () => boolean, log: Log) {
    this.#state = state;
    this.#authority = authority;
    this.#isReady = isReady;
    this.#log = log;
  }

  start(): void {
    void this.#look();
  }

  /** The CA's rows changed: look at them again. */
  recheck(): void {
    this.#ensuredAtMs = -Infinity;
  }

  stop(): void {
    this.#isStopped = true;
    clearTimeout(this.#timer);
  }

  async #look(): Promise<void> {
    try {
      const { isLeader } = await this.#state.of(Raft).leader({}, { timeoutMs: 2_000 });
      if (isLeader && !this.isLeader) this.recheck();
      this.isLeader = isLeader;
      const nowMs = performance.now();
      if (isLeader && nowMs - this.#ensuredAtMs > tidyMs) {
        this.#authority.forget();
        await this.#authority.ensure();
        this.#ensuredAtMs = nowMs;
      }
    } catch (error) {
      this.#log.debug({ error: toCuriaError(error).message }, "the CA could not be looked after");
    }
    if (this.#isStopped) return;
    this.#timer = setTimeout(() => void this.#look(), this.#isReady() ? pollMs : eagerPollMs);
  }
}
