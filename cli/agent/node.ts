// A node under one supervisor: start, reload, leave, stop; what signals and the control socket ask.

import { rmSync, writeFileSync } from "node:fs";
import type { BusServer } from "#shared/bus/server.ts";
import type { AgentFlags } from "#shared/config/agent-flags.ts";
import { loadAgentConfig, writeEffective } from "#shared/config/load.ts";
import type { AgentStart } from "#shared/config/load.ts";
import { ConfigRefusal } from "#shared/config/source.ts";
import type { EffectiveConfig } from "#shared/config/types.ts";
import { CuriaError } from "#shared/errors.ts";
import { sdNotify } from "#shared/sd-notify.ts";
import { CommandFailure } from "../refusal.ts";
import type { Terminal } from "../command.ts";
import { daemons, daemonsOf } from "../daemons.ts";
import { formatBanner } from "./banner.ts";
import { awaitReady, reloadDaemons, serveControl } from "./control.ts";
import { Journal } from "./journal.ts";
import { leaveCluster } from "./leave.ts";
import { daemonCommand } from "./program.ts";
import { Supervisor } from "./supervisor.ts";
import type { Supervised } from "./supervisor.ts";

/** How long a graceful leave may take: the hand-over of leadership, two broadcasts of 5 s with 3 s for
 *  them to spread, and a server's drain time of 5 s. */
const leaveMaxMs = 25_000;
/** How long the other daemons wait at start for those that come first. */
const firstMaxMs = 500;

type Signal = "SIGINT" | "SIGTERM" | "SIGHUP";
const signalNames: Record<Signal, string> = {
  SIGINT: "interrupt",
  SIGTERM: "terminated",
  SIGHUP: "hangup",
};

export class Node {
  readonly #flags: AgentFlags;
  readonly #terminal: Terminal;
  readonly #journal: Journal;
  readonly #supervisor: Supervisor;
  readonly #start: AgentStart;
  #config: EffectiveConfig;
  #control: BusServer | undefined;
  #finish: (status: number) => void = () => {};
  #isLeaving = false;
  readonly #stopping = new AbortController();

  constructor(start: AgentStart, flags: AgentFlags, terminal: Terminal) {
    this.#start = start;
    this.#config = start.config;
    this.#flags = flags;
    this.#terminal = terminal;
    this.#journal = new Journal(terminal, start.config.log);
    const configFile = writeEffective(start.config);
    this.#supervisor = new Supervisor(supervisedOf(start.config, configFile), {
      line: (daemon, line) => this.#journal.daemonLine(daemon, line),
      log: (level, message, fields) => this.#journal.log(level, message, fields),
      gaveUp: () => this.#finish(1),
    });
  }

  /** Runs until the node stops; resolves to the exit status. */
  async run(): Promise<number> {
    const finished = new Promise<number>((resolve) => this.#finish = resolve);
    try {
      this.#control = await serveControl({
        config: () => this.#config,
        status: () => this.#supervisor.status(),
        reload: () => this.#reload(),
        stop: () => this.#finish(0),
      });
    } catch (error) {
      throw new CommandFailure(`==> Error starting agent: ${(error as Error).message}`);
    }
    for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) {
      process.on(signal, () => this.#signalled(signal));
    }
    if (!this.#config.log.json) this.#terminal.out(formatBanner(this.#config));
    for (const warning of this.#start.warnings) this.#journal.log("warn", warning);
    for (const key of this.#start.notServed) {
      this.#journal.log("warn", `configuration key "${key}" is accepted but not yet served`);
    }
    this.#writePid();
    this.#startDaemons();
    const status = await finished;
    this.#stopping.abort();
    await this.#shutDown();
    this.#journal.log("info", "Exit code", { code: status });
    return status;
  }

  /** Those that take writes come first, the others as soon as these are ready: on a small machine
   *  all at once would be late together. */
  async #startDaemons(): Promise<void> {
    const startedMs = performance.now();
    const { signal } = this.#stopping;
    const first = new Set<string>(daemons.filter(({ isFirst }) => isFirst).map(({ name }) => name));
    const posts = this.#supervisor.status();
    this.#supervisor.start((name) => first.has(name));
    const firstReady = awaitReady(
      this.#config,
      posts.filter(({ daemon }) => first.has(daemon)),
      signal,
    );
    await Promise.race([firstReady, Bun.sleep(firstMaxMs)]);
    if (signal.aborted) return;
    this.#supervisor.start();
    await awaitReady(this.#config, posts, signal);
    if (signal.aborted) return;
    const afterMs = Math.round(performance.now() - startedMs);
    this.#journal.log("info", "Consul agent running!", { daemons_ready_after_ms: afterMs });
    sdNotify("READY=1");
  }

  #signalled(signal: Signal): void {
    this.#journal.log("info", "Caught", { signal: signalNames[signal] });
    if (signal === "SIGHUP") {
      this.#reload().catch((error: Error) =>
        this.#journal.log("error", "Reload failed", { error: error.message })
      );
      return;
    }
    const { onTerminate, skipOnInterrupt } = this.#config.leave;
    const isGraceful = onTerminate || (signal === "SIGINT" && !skipOnInterrupt);
    // A second signal, or one that asks for no leave, ends the node without further waiting.
    if (!isGraceful || this.#isLeaving) this.#finish(1);
    else this.#leave();
  }

  async #leave(): Promise<void> {
    this.#isLeaving = true;
    this.#journal.log("info", "Gracefully shutting down agent...");
    const timer = setTimeout(() => {
      this.#journal.log("error", "Timeout on graceful leave, exiting");
      this.#finish(1);
    }, leaveMaxMs);
    const hasLeft = await leaveCluster(
      this.#config,
      (level, message, fields) => this.#journal.log(level, message, fields),
    );
    clearTimeout(timer);
    if (hasLeft) this.#journal.log("info", "Graceful exit completed");
    this.#finish(hasLeft ? 0 : 1);
  }

  /** Throws CuriaError; the configuration in use stays when the new one cannot be read. */
  async #reload(): Promise<{ changed: string[]; needsRestart: string[] }> {
    this.#journal.log("info", "Reloading configuration...");
    let fresh: AgentStart;
    try {
      fresh = loadAgentConfig(this.#flags, this.#config.runDir);
    } catch (error) {
      if (!(error instanceof ConfigRefusal)) throw error;
      throw new CuriaError("invalid-argument", error.message, { cause: error });
    }
    for (const warning of fresh.warnings) this.#journal.log("warn", warning);
    if (fresh.config.runDir !== this.#config.runDir) {
      throw new CuriaError("invalid-argument", "run_dir cannot change while the node runs");
    }
    this.#config = fresh.config;
    this.#journal.level = fresh.config.log.level;
    writeEffective(fresh.config);
    const replies = await reloadDaemons(fresh.config, this.#supervisor.status());
    for (const { daemon, error } of replies) {
      if (error !== "") this.#journal.log("error", "Daemon did not reload", { daemon, error });
    }
    const changed = [...new Set(replies.flatMap((reply) => reply.changed))];
    const needsRestart = [...new Set(replies.flatMap((reply) => reply.needsRestart))];
    if (needsRestart.length > 0) {
      this.#journal.log("warn", "Some changes need a restart", { keys: needsRestart.join(",") });
    }
    return { changed, needsRestart };
  }

  #writePid(): void {
    if (this.#config.pidFile === "") return;
    writeFileSync(this.#config.pidFile, String(process.pid), { mode: 0o644 });
  }

  async #shutDown(): Promise<void> {
    await this.#supervisor.stop();
    await this.#control?.stop(100);
    if (this.#config.pidFile !== "") rmSync(this.#config.pidFile, { force: true });
    // What -dev made in the temporary directory goes with it.
    if (this.#config.dev && /\/curia-dev-[^/]+$/.test(this.#config.runDir)) {
      rmSync(this.#config.runDir, { recursive: true, force: true });
    }
  }
}

function supervisedOf(config: EffectiveConfig, configFile: string): Supervised[] {
  return daemonsOf(config.server).flatMap(({ name }) => {
    const count = config.instances[name] ?? 1;
    return Array.from({ length: count }, (_, i) => ({
      name,
      instance: i + 1,
      command: daemonCommand(name, [
        "--config",
        configFile,
        ...(count > 1 ? ["--instance", String(i + 1)] : []),
      ]),
    }));
  });
}
