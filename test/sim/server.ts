// One simulated server: the production core with a shell that keeps raftd's contract, on a disk, a
// clock and a network that misbehave. It crashes, pauses and comes back.

import type { Random } from "#shared/random.ts";
import type { Effect, Input, RaftStatus } from "../../services/raftd/core/raft/machine.ts";
import { SimClock } from "./clock.ts";
import { emptyStateFile, SimDisk } from "./disk.ts";
import { LogMirror } from "./log-mirror.ts";
import { SnapshotFiles } from "./snapshot-files.ts";
import { StateThread } from "./state-thread.ts";
import { count, type RaftMachine, type SimTarget, type World } from "./world.ts";

/** Where work for a process comes from. Within one source the order stays. */
const sources = ["itself", "peers", "clients", "disk", "timers"] as const;
export type Source = typeof sources[number];

export class SimServer implements SimTarget {
  readonly id: string;
  readonly disk: SimDisk;
  readonly clock: SimClock;
  readonly #world: World;
  readonly #random: Random;
  #raft: RaftMachine | undefined;
  /** Grows with every start, so that what belongs to an earlier process finds nobody. */
  #run = 0;
  #pausedUntilMs = 0;
  #backlog: { source: Source; work: () => void }[] = [];
  #timerAtMs = Infinity;
  #diskFreeAtMs = 0;
  state: StateThread;
  snapshots: SnapshotFiles;

  constructor(world: World, id: string) {
    this.id = id;
    this.#world = world;
    this.disk = new SimDisk(world.states);
    this.#random = world.random.split();
    this.clock = new SimClock(world.queue, this.#random, world.settings.clockDriftMax);
    this.state = new StateThread(world, this, emptyStateFile(world.states), 0);
    this.snapshots = new SnapshotFiles(world, this);
  }

  get isUp(): boolean {
    return this.#raft !== undefined;
  }

  get run(): number {
    return this.#run;
  }

  status(): RaftStatus | undefined {
    return this.#raft?.status(this.clock.nowMs());
  }

  start(): void {
    if (this.#raft) return;
    const world = this.#world, random = this.#random;
    this.#run++;
    const file = { kv: this.state.kv, configuration: this.state.configuration };
    this.state = new StateThread(world, this, file, this.disk.lastIndex);
    const restored = this.disk.restored(file, random);
    const settings = world.settings;
    this.#raft = world.createRaft({ id: this.id, settings, random: random.split(), restored });
    world.checks.started(this.id, new LogMirror(this.disk.base, this.disk.entries));
    world.trace?.(
      `${this.id} starts, log to ${this.disk.lastIndex}, state ${file.kv.index}, members of ${file.configuration.index}, base ${this.disk.base.index}`,
    );
    this.#diskFreeAtMs = world.queue.nowMs;
    this.input({ kind: "started", wallMs: this.clock.wallMs() });
  }

  /** kill -9, or the power: a power loss may also take the state file back to its checkpoint. */
  crash(isPowerLoss: boolean): void {
    if (!this.#raft) return;
    this.#world.trace?.(`${this.id} crashes`);
    this.#raft = undefined;
    this.#run++;
    this.#backlog = [];
    this.#pausedUntilMs = 0;
    this.#timerAtMs = Infinity;
    const lost = this.disk.crash(this.#random);
    if (lost > 0) count(this.#world, "writes lost in crashes");
    const survived = { kv: this.state.kv, configuration: this.state.configuration };
    const file = isPowerLoss ? this.disk.checkpoint : survived;
    this.state.close();
    const copy = { kv: file.kv.clone(), configuration: file.configuration };
    this.state.kv.close();
    this.state = new StateThread(this.#world, this, copy, this.disk.lastIndex);
    this.snapshots = new SnapshotFiles(this.#world, this);
  }

  pause(forMs: number): void {
    const { queue } = this.#world;
    this.#pausedUntilMs = queue.nowMs + forMs;
    const run = this.#run;
    queue.after(forMs, () => {
      if (run !== this.#run) return;
      const backlog = this.#backlog;
      this.#backlog = [];
      // An event loop that wakes up takes its sources in any order.
      const order = this.#random.shuffle([...sources]);
      if (this.#random.chance(0.7)) {
        backlog.sort((a, b) => order.indexOf(a.source) - order.indexOf(b.source));
      }
      for (const { source, work } of backlog) this.whenAwake(run, work, source);
    });
  }

  stallDisk(forMs: number): void {
    this.#diskFreeAtMs = Math.max(this.#diskFreeAtMs, this.#world.queue.nowMs + forMs);
  }

  /** Runs work of this process, once it is not paused; never in a later process. */
  whenAwake(run: number, work: () => void, source: Source = "itself"): void {
    if (run !== this.#run || !this.#raft) return;
    if (this.#world.queue.nowMs < this.#pausedUntilMs) this.#backlog.push({ source, work });
    else work();
  }

  /** The same after some time. */
  later(delayMs: number, work: () => void): void {
    const run = this.#run;
    this.#world.queue.after(delayMs, () => this.whenAwake(run, work));
  }

  input(input: Input): void {
    const raft = this.#raft;
    if (!raft) return;
    const effects = raft.step(input, this.clock.nowMs());
    this.#world.checks.effects(this.id, effects);
    for (const effect of effects) {
      this.#perform(effect);
      if (this.#raft !== raft) return;
    }
    this.#armTimer(raft.deadlineMs);
  }

  #perform(effect: Effect): void {
    switch (effect.kind) {
      case "persist":
        return this.#persist(effect);
      case "send":
        if (effect.message.kind === "vote-answer" && effect.message.granted) {
          this.#world.noticed("voted", this.id);
        }
        return this.#send(effect.to, { kind: "received", from: this.id, message: effect.message });
      case "halt":
        this.#world.trace?.(`${this.id} halts: ${effect.reason}`);
        this.crash(true);
        return;
      case "compact-log":
        this.disk.compact(effect.throughIndex, effect.throughTerm);
        return;
      case "read-log":
        return this.#readLog(effect);
      case "read-snapshot":
      case "close-snapshot":
      case "write-snapshot":
      case "install-snapshot":
        return this.snapshots.perform(effect);
      case "publish-role":
        this.#world.trace?.(
          `${this.id} is ${effect.role} in term ${effect.term}, leader ${effect.leader || "none"}`,
        );
        if (effect.role === "candidate") this.#world.noticed("stands", this.id);
        if (effect.role === "leader" && effect.readyIndex === 0) {
          this.#world.noticed("leads", this.id);
        }
        return;
      case "publish-configuration":
        return;
      default:
        return this.state.perform(effect);
    }
  }

  #send(to: string, input: Input): void {
    const { network } = this.#world;
    network.send(this.id, to, () => this.#world.deliver(to, (server) => server.input(input)));
  }

  #persist(persist: Extract<Effect, { kind: "persist" }>): void {
    const { queue, disk: mix } = this.#world;
    this.disk.write(persist);
    this.state.persisting(persist);
    const startMs = Math.max(queue.nowMs, this.#diskFreeAtMs);
    const doneMs = startMs + this.#random.between(mix.syncMinMs, mix.syncMaxMs);
    this.#diskFreeAtMs = doneMs;
    const run = this.#run;
    queue.at(doneMs, () => {
      if (run !== this.#run) return;
      // The disk works on while the process is paused, which only hears of it later.
      this.disk.sync(persist.seq);
      this.whenAwake(run, () => {
        this.state.persisted(persist.seq);
        this.input({ kind: "persisted", seq: persist.seq });
      }, "disk");
    });
  }

  failDisk(): void {
    this.input({ kind: "persist-failed", reason: "fsync: input/output error" });
  }

  #readLog(effect: Extract<Effect, { kind: "read-log" }>): void {
    const { peer, fromIndex, countMax } = effect;
    this.later(this.#random.between(0.1, 5), () => {
      const { base, entries } = this.disk;
      const begin = fromIndex - base.index - 1;
      const found = begin < 0 ? [] : entries.slice(begin, begin + countMax);
      this.input({ kind: "log-read", peer, fromIndex, entries: found });
    });
  }

  #armTimer(deadlineMs: number): void {
    if (deadlineMs === Infinity) return;
    const atMs = this.clock.queueTime(deadlineMs);
    if (atMs >= this.#timerAtMs) return;
    this.#timerAtMs = atMs;
    const run = this.#run;
    this.#world.queue.at(atMs + this.#random.between(0, 2), () => {
      if (run !== this.#run || this.#timerAtMs !== atMs) return;
      this.#timerAtMs = Infinity;
      this.whenAwake(run, () => {
        this.input({ kind: "timer-fired", wallMs: this.clock.wallMs() });
      }, "timers");
    });
  }
}
