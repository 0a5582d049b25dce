// Puts our network coordinate into the replicated state, all nodes together at a bounded rate.
import { State } from "#proto/services.ts";
import type { BusClient } from "#shared/bus/client.ts";
import type { MemberPool, PoolLog } from "./member-pool.ts";

/** Updates a second that the whole datacenter may make, and the shortest interval of one node. */
const ratePerSecond = 64;
const intervalMsMin = 15_000;

export class CoordinateSender {
  readonly #client: BusClient;
  readonly #pool: MemberPool;
  readonly #node: string;
  readonly #log: PoolLog;
  #timer: Timer | undefined;
  #isStopped = false;

  constructor(client: BusClient, pool: MemberPool, node: string, log: PoolLog) {
    this.#client = client;
    this.#pool = pool;
    this.#node = node;
    this.#log = log;
    this.#schedule();
  }

  #schedule(): void {
    if (this.#isStopped) return;
    const intervalMs = Math.max(
      intervalMsMin,
      this.#pool.members().length / ratePerSecond * 1000,
    );
    const afterMs = intervalMs * (1 + Math.random());
    this.#timer = setTimeout(() => void this.#send(), afterMs);
  }

  async #send(): Promise<void> {
    const { vec, error, adjustment, height } = this.#pool.loop.machine.coordinate;
    const coordinate = { node: this.#node, segment: "", vec, error, adjustment, height };
    try {
      await this.#client.of(State).apply({ coordinates: { coordinates: [coordinate] } });
    } catch (failure) {
      const reason = failure instanceof Error ? failure.message : String(failure);
      this.#log.debug({ error: reason }, "coordinate update error");
    }
    this.#schedule();
  }

  stop(): void {
    this.#isStopped = true;
    clearTimeout(this.#timer);
  }
}
