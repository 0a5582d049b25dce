// The pools of a node: LAN always, WAN on servers; joining them, keeping the WAN pool complete, and
// leaving in the right order.
import { randomInt } from "node:crypto";
import { CuriaError } from "#shared/errors.ts";
import { Random } from "#shared/random.ts";
import { type GossipdConfig, hasWan, planPool, type PoolPlan } from "../config.ts";
import { floodTargets } from "../core/consul/flood.ts";
import { checkerTag } from "../core/consul/server.ts";
import { formatAddress } from "../core/address.ts";
import { loadKeyring } from "./keyring-file.ts";
import { MemberPool, type PoolLog } from "./member-pool.ts";
import { RetryJoin } from "./retry-join.ts";
import { SnapshotFile } from "./snapshot-file.ts";

export interface PoolsOptions {
  config: GossipdConfig;
  log: PoolLog;
  /** For what ends the daemon. */
  fail(error: unknown): void;
}

const floodMs = 60_000;

export class Pools {
  readonly lan: MemberPool;
  readonly wan: MemberPool | undefined;
  readonly #options: PoolsOptions;
  readonly #retries: RetryJoin[] = [];
  readonly #tags: Map<string, string>;
  #floodTimer: Timer | undefined;
  #isFlooding = false;
  #isFloodDue = false;
  #isLeaving = false;

  private constructor(options: PoolsOptions, lan: MemberPool, wan: MemberPool | undefined) {
    this.#options = options;
    this.lan = lan;
    this.wan = wan;
    this.#tags = new Map(planPool(options.config, "lan").settings.tags);
  }

  static async open(options: PoolsOptions): Promise<Pools> {
    const lan = await openPool(options, "lan");
    const wan = hasWan(options.config) ? await openPool(options, "wan") : undefined;
    const pools = new Pools(options, lan, wan);
    pools.#start();
    return pools;
  }

  #start(): void {
    for (const name of ["lan", "wan"] as const) {
      const pool = this[name];
      if (!pool) continue;
      const { retry, settings } = planPool(this.#options.config, name);
      const join = new RetryJoin({
        pool,
        poolName: name,
        addresses: retry.retryJoin,
        intervalMs: retry.retryIntervalMs,
        attemptsMax: retry.retryMax,
        advertised: formatAddress(settings.address),
        log: this.#options.log,
        exhausted: (error) => this.#options.fail(error),
      });
      this.#retries.push(join);
      join.start();
    }
    if (!this.wan) return;
    this.#floodTimer = setInterval(() => void this.#flood(), floodMs);
    this.lan.onMember((change) => {
      if (change === "joined" || change === "updated") void this.#flood();
    });
    void this.#flood();
  }

  /** Brings servers of our LAN into the WAN pool. What changes meanwhile gets a turn of its own. */
  async #flood(): Promise<void> {
    const { wan } = this;
    if (!wan || this.#isLeaving) return;
    if (this.#isFlooding) {
      this.#isFloodDue = true;
      return;
    }
    this.#isFlooding = true;
    const { datacenter } = this.#options.config.node;
    const targets = floodTargets(this.lan.members(), wan.members(), datacenter);
    const { errors } = await wan.joinPeers(targets);
    this.#isFlooding = false;
    if (errors.length > 0) this.#options.log.debug({ errors }, "flood-join into the WAN pool");
    if (!this.#isFloodDue) return;
    this.#isFloodDue = false;
    await this.#flood();
  }

  get isJoining(): boolean {
    return this.#retries.some((retry) => !retry.isDone);
  }

  /** Adds, changes or (empty) removes tags in both pools. */
  changeTags(changes: Record<string, string>): void {
    for (const [name, value] of Object.entries(changes)) {
      if (value === "") this.#tags.delete(name);
      else this.#tags.set(name, value);
    }
    this.lan.setTags(new Map(this.#tags));
    if (!this.wan) return;
    const wanTags = new Map(this.#tags);
    for (const name of ["wan_join_port", checkerTag]) wanTags.delete(name);
    this.wan.setTags(wanTags);
  }

  /** Our checkd is away, or back: the leader reads it from our tags. */
  markChecker(isAbsent: boolean): void {
    if (this.#isLeaving || this.#tags.has(checkerTag) === isAbsent) return;
    this.changeTags({ [checkerTag]: isAbsent ? "absent" : "" });
  }

  /** Both at once: each takes seconds, and who stops a node waits for them. */
  async leave(): Promise<void> {
    this.#isLeaving = true;
    for (const retry of this.#retries) retry.stop();
    await Promise.all([this.wan?.leave(), this.lan.leave()]);
  }

  async stop(): Promise<void> {
    clearInterval(this.#floodTimer);
    for (const retry of this.#retries) retry.stop();
    await Promise.all([this.wan?.stop(), this.lan.stop()]);
  }
}

async function openPool(options: PoolsOptions, poolName: "lan" | "wan"): Promise<MemberPool> {
  const { config, log } = options;
  const { gossip } = config;
  const plan = planPool(config, poolName);
  const keyring = loadKeyring(plan.keyringPath, gossip.encrypt);
  const kept = plan.snapshotPath === undefined
    ? undefined
    : SnapshotFile.open(plan.snapshotPath, gossip.rejoinAfterLeave, (error) => {
      log.error({ pool: poolName, err: error }, "the rejoin snapshot cannot be written");
    });
  const opened = MemberPool.open({
    settings: plan.settings,
    bindAddress: plan.bindAddress,
    bindPort: plan.bindPort,
    random: new Random(randomInt(2 ** 32)),
    keyring,
    keyringPath: plan.keyringPath,
    sealOutgoing: gossip.encryptVerifyOutgoing,
    refusePlain: gossip.encryptVerifyIncoming,
    snapshot: kept?.snapshot,
    snapshotFile: kept?.file,
    poolName,
    log,
  });
  return await opened.catch((error: NodeJS.ErrnoException) => {
    throw bindFailure(error, plan, poolName);
  });
}

function bindFailure(error: NodeJS.ErrnoException, plan: PoolPlan, poolName: string): Error {
  if (error.code !== "EADDRINUSE" && error.code !== "EADDRNOTAVAIL" && error.code !== "EACCES") {
    return error;
  }
  const where = `${plan.bindAddress} port ${plan.bindPort}`;
  const message = `cannot listen on ${where} (ports.serf_${poolName}): ${error.message}`;
  return new CuriaError("unavailable", message);
}
