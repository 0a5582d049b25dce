// Tries the configured addresses until another node has answered.
import { networkInterfaces } from "node:os";
import { formatAddress } from "../core/address.ts";
import type { Peer } from "../core/border.ts";
import type { MemberPool, PoolLog } from "./member-pool.ts";
import { resolvePeers } from "./resolve.ts";

export interface RetryJoinOptions {
  pool: MemberPool;
  poolName: string;
  addresses: readonly string[];
  intervalMs: number;
  /** 0: for ever. */
  attemptsMax: number;
  /** What we advertise: contacting ourselves proves nothing. */
  advertised: string;
  log: PoolLog;
  exhausted(error: Error): void;
}

export class RetryJoin {
  readonly #options: RetryJoinOptions;
  #timer: Timer | undefined;
  #attempts = 0;
  #isStopped = false;
  isDone = false;

  constructor(options: RetryJoinOptions) {
    this.#options = options;
  }

  start(): void {
    if (this.#options.addresses.length === 0) this.isDone = true;
    else void this.#attempt();
  }

  stop(): void {
    this.#isStopped = true;
    clearTimeout(this.#timer);
  }

  async #attempt(): Promise<void> {
    const { pool, addresses, poolName, log, attemptsMax, intervalMs } = this.#options;
    this.#attempts++;
    const resolved = await resolvePeers(addresses, pool.loop.port);
    const others = resolved.peers.filter((peer) => !this.#isOurselves(peer));
    const namesUs = others.length < resolved.peers.length;
    const outcome = await pool.joinPeers(others);
    if (this.#isStopped) return;
    const isAlone = namesUs && others.length === 0 && resolved.errors.length === 0;
    if (outcome.joined > 0 || isAlone) {
      this.isDone = true;
      log.info({ pool: poolName, contacted: outcome.joined }, "join completed");
      return;
    }
    const errors = [...resolved.errors, ...outcome.errors];
    // A list that names us is one that the first node of a pool starts with: Consul goes on then.
    if (attemptsMax > 0 && this.#attempts > attemptsMax && !namesUs) {
      const name = poolName.toUpperCase();
      return this.#options.exhausted(new Error(`max join ${name} retry exhausted, exiting`));
    }
    log.warn({ pool: poolName, errors, retryMs: intervalMs }, "join failed, will retry");
    this.#timer = setTimeout(() => void this.#attempt(), intervalMs);
  }

  #isOurselves(peer: Peer): boolean {
    const { pool, advertised } = this.#options;
    if (peer.port !== pool.loop.port) return false;
    const address = formatAddress(peer.address);
    if (address === advertised) return true;
    // Of one machine's nodes each may have an address of its own: only the advertised one is ours.
    if (address.startsWith("127.")) return false;
    const own = Object.values(networkInterfaces()).flatMap((list) => list ?? []);
    return own.some((entry) => entry.address === address && !entry.internal) &&
      !advertised.startsWith("127.");
  }
}
