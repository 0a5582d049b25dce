// Rounds of kill -9 on one of three servers, at each of the steps by which its files change and at
// moments of chance. After each the files it leaves are looked at, and when it is back all it has is
// compared with the others and with what clients were told.

import { cpSync, mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { basename, join } from "node:path";
import { Random } from "#shared/random.ts";
import { LogStore } from "../../../services/raftd/io/log-store.ts";
import { removeTemporary } from "../../../services/raftd/io/snapshots.ts";
import { StateFiles } from "../../../services/raftd/io/state-files.ts";
import type { Step } from "../../../services/raftd/io/steps.ts";
import { until } from "../node.ts";
import { contentOf, Model, settled, stateFileOf } from "./model.ts";
import { type DiskServer, diskServers } from "./server.ts";

/** Small, so that a few writes are a compaction, and a server away for a moment needs a snapshot;
 *  but one that was there until now needs none. */
const config = {
  raft_trailing_logs: 64,
  raft_snapshot_threshold: 30,
  raft_snapshot_interval: "100ms",
};
const behindWrites = 140;
const writers = 4;

/** Reached by a server that comes back and needs the whole state. */
export const installSteps: readonly Step[] = [
  "piece-written",
  "snapshot-verified",
  "state-renamed",
  "pointer-written",
  "pointer-switched",
  "state-opened",
  "old-state-removed",
  "log-reset",
];
/** Reached by any server under writes. */
export const runningSteps: readonly Step[] = [
  "log-writing",
  "log-committed",
  "checkpoint-begun",
  "checkpoint-done",
  "checkpoint-told",
  "log-compacted",
  "log-trimmed",
];
const allowedFiles =
  /^(log\.db(-wal|-shm)?|vote|peers\.info|state\.current|state-\d+\.db(-wal|-shm)?)$/;

/** How often something was done, by what. */
export type Counts = Record<string, number>;

export function sumOf(all: readonly Counts[]): Counts {
  const sum: Counts = {};
  for (const counts of all) {
    for (const [what, count] of Object.entries(counts)) sum[what] = (sum[what] ?? 0) + count;
  }
  return sum;
}

export class Kills {
  readonly servers: DiskServer[];
  readonly counts: Counts = {};
  readonly model: Model;
  readonly #random: Random;
  #round: number;
  #isWriting = false;
  #writing: Promise<unknown> = Promise.resolve();

  /** Which steps come first goes by `firstRound`. */
  constructor(seed: number, firstRound = 0) {
    this.#round = firstRound;
    this.#random = new Random(seed);
    this.model = new Model(this.#random);
    this.servers = diskServers(3, config);
  }

  async start(): Promise<void> {
    for (const server of this.servers) server.start();
    await settled(this.servers);
    this.#startWriting(this.servers);
    await this.#more(behindWrites);
    await this.#stopWriting();
  }

  async remove(): Promise<void> {
    this.#isWriting = false;
    await Promise.all(this.servers.map((server) => server.remove()));
  }

  /** Two kills: one of a running server, one while it takes the state of another. */
  async round(): Promise<void> {
    const n = this.#round++;
    // The third is never killed: what it has is the measure.
    const victim = this.servers[n % 2]!;
    await this.#killRunning(victim, n);
    await this.#killInstalling(victim, n);
    victim.start();
    await this.#check(victim);
  }

  async #killRunning(victim: DiskServer, n: number): Promise<void> {
    const step = runningSteps[n % (runningSteps.length + 1)];
    await victim.kill();
    victim.start(step === undefined ? "" : `${step} ${1 + this.#random.below(3)}`);
    this.#startWriting(this.servers);
    if (step === undefined) {
      await this.#more(1 + this.#random.below(behindWrites));
      await victim.kill();
    }
    const lastIndex = await this.#died(victim, step ?? "any moment");
    await this.#more(behindWrites);
    await this.#stopWriting();
    const others = this.servers.filter((server) => server !== victim);
    let seen = "";
    await until("the others let go of what it lacks", 20_000, async () => {
      const stats = await Promise.all(others.map((server) => server.stats()));
      seen = JSON.stringify(stats);
      return stats.every((one) => (one?.snapshotIndex ?? 0) > lastIndex);
    }, () => `${lastIndex}: ${seen}`);
  }

  async #killInstalling(victim: DiskServer, n: number): Promise<void> {
    const step = installSteps[n % installSteps.length]!;
    victim.start(`${step} 1`);
    await this.#died(victim, step);
  }

  /** Where its log ends. */
  async #died(victim: DiskServer, step: string): Promise<number> {
    await victim.ended(step).catch(async (error: Error) => {
      const stats = await Promise.all(this.servers.map((server) => server.stats()));
      throw new Error(
        `${error.message}\n${this.model.acknowledged} acknowledged, ${this.model.unknown} not: ${this.model.lastError} ${
          JSON.stringify(stats)
        }`,
      );
    });
    // It may have died of something else: then that must be seen.
    if (/"level":60/.test(victim.log)) {
      throw new Error(`${victim.name}: ${victim.log.slice(-4_000)}`);
    }
    this.counts[step] = (this.counts[step] ?? 0) + 1;
    if (step === "log-compacted" || step === "checkpoint-told") this.#losePower(victim);
    return this.#inspect(victim, step);
  }

  /** What a loss of power may leave: of the state only what a finished checkpoint synced. */
  #losePower(victim: DiskServer): void {
    const names = readdirSync(victim.folder);
    if (names.some((name) => victim.checkpointFile.endsWith(name))) return;
    const state = stateFileOf(victim);
    rmSync(`${state}-wal`, { force: true });
    rmSync(`${state}-shm`, { force: true });
    this.counts["power lost"] = (this.counts["power lost"] ?? 0) + 1;
  }

  /** Opens a copy of what is left: one whole state, a log that follows on from it, and no more. */
  #inspect(victim: DiskServer, step: string): number {
    const copy = mkdtempSync(join(tmpdir(), "curia-left-"));
    try {
      cpSync(victim.raftFolder, copy, { recursive: true });
      removeTemporary(copy);
      const files = StateFiles.open(copy);
      const log = new LogStore(join(copy, "log.db"));
      const { base, lastIndex, promised } = log.open();
      const { index } = files.applied();
      // A state beyond the log is one that was just installed.
      if (base.index > index || promised !== undefined) {
        throw new Error(`${step}: state of ${index}, log after ${base.index} to ${lastIndex}`);
      }
      log.close();
      files.close();
      const orphans = readdirSync(copy).filter((name) => !allowedFiles.test(name));
      const states = readdirSync(copy).filter((name) => /^state-\d+\.db$/.test(name));
      if (orphans.length > 0 || states.length !== 1) {
        throw new Error(`${step}: left behind ${[...orphans, ...states].join(", ")}`);
      }
      return Math.max(index, lastIndex);
    } finally {
      rmSync(copy, { recursive: true });
    }
  }

  /** Everything that it has, against the server that was never killed and against the clients. */
  async #check(victim: DiskServer): Promise<void> {
    await settled(this.servers);
    const [mine, measure] = [victim, this.servers[2]!]
      .map((server) => contentOf(stateFileOf(server)));
    const wrong = this.model.wrongIn(mine!.keys);
    if (wrong.length > 0) throw new Error(`${victim.name} lacks writes: ${wrong.join("; ")}`);
    if (mine!.index !== measure!.index || mine!.hash !== measure!.hash) {
      throw new Error(
        `${victim.name} has ${mine!.hash} at ${mine!.index}, not ${measure!.hash} at ${
          measure!.index
        }`,
      );
    }
    if (mine!.rows !== measure!.rows) throw new Error(`${victim.name} has other rows`);
    await until(
      "no file is left over",
      10_000,
      () => this.#leftOver().length === 0,
      () => this.#leftOver().join(", "),
    );
    this.counts["compared"] = (this.counts["compared"] ?? 0) + 1;
  }

  #leftOver(): string[] {
    return this.servers.flatMap((server) => {
      const current = basename(stateFileOf(server));
      return readdirSync(server.raftFolder).filter((name) =>
        !allowedFiles.test(name) || (name.startsWith("state-") && !name.startsWith(current))
      );
    });
  }

  #startWriting(servers: readonly DiskServer[]): void {
    this.#isWriting = true;
    this.#writing = Promise.all(Array.from({ length: writers }, async (_, writer) => {
      const random = new Random(this.#random.uint32());
      while (this.#isWriting) {
        const running = servers.filter(({ isRunning }) => isRunning);
        const server = running[random.below(running.length)];
        const isDone = server !== undefined && await this.model.write(server, writer);
        // The servers are what is looked at, and need the processor for it.
        await Bun.sleep(isDone ? 2 : 20);
      }
    }));
  }

  async #stopWriting(): Promise<void> {
    this.#isWriting = false;
    await this.#writing;
  }

  /** Waits for so many more acknowledged writes. */
  async #more(count: number): Promise<void> {
    const before = this.model.acknowledged;
    await until(
      `${count} more writes`,
      30_000,
      () => this.model.acknowledged >= before + count,
      () => this.servers.map((server) => server.log.slice(-3_000)).join("\n"),
    );
  }
}
