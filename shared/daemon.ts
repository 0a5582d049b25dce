// The frame of every daemon: configuration, log, metrics, bus socket with Control, readiness,
// signals. A daemon's main.ts gives `start` and nothing else.

import { BusServer } from "./bus/server.ts";
import type { Identity } from "./bus/types.ts";
import { newCounts } from "./bus/counts.ts";
import { type DaemonStart, loadDaemonConfig } from "./config/daemon-start.ts";
import { release } from "./config/release.ts";
import { socketPath } from "./config/socket-path.ts";
import type { EffectiveConfig } from "./config/types.ts";
import { type Reloaded, serveControl } from "./control.ts";
import { FinalError, finalStatus } from "./final-error.ts";
import { serveInspection } from "./inspection.ts";
import { type DaemonLog, type Log, openLog } from "./log.ts";
import { Metrics } from "./metrics.ts";
import { sdNotify } from "./sd-notify.ts";

export type { Reloaded } from "./control.ts";

/** What a daemon gets. It registers its handlers on `bus`; the socket opens after `start`. */
export interface DaemonContext {
  name: string;
  /** 1 for the only or first instance. */
  instance: number;
  config: EffectiveConfig;
  identity: Identity;
  log: Log;
  metrics: Metrics;
  bus: BusServer;
  /** Ends the daemon as a signal does; for what makes going on senseless. */
  fail(error: unknown): void;
}

/** What a daemon gives. */
export interface Daemon {
  /** Why it is not ready, in words for an operator; undefined when it is. */
  ready(): string | undefined;
  /** What `curia ps` and `curia info` show of it. */
  details(): Record<string, string>;
  /** Takes over what may change while running, and names what changed or needs a restart. */
  reload?(config: EffectiveConfig): Reloaded | Promise<Reloaded>;
  stop(): void | Promise<void>;
}

export interface DaemonDefinition {
  name: string;
  start(context: DaemonContext): Daemon | Promise<Daemon>;
}

const readyPollMs = 20;
const stopMaxMs = 20_000;

/** Runs until a signal; exits the process. */
export async function runDaemon(
  definition: DaemonDefinition,
  argv: readonly string[] = process.argv.slice(2),
): Promise<void> {
  let start: DaemonStart;
  try {
    start = await loadDaemonConfig(argv);
  } catch (error) {
    console.error(`${definition.name}: ${error instanceof Error ? error.message : String(error)}`);
    process.exit(1);
  }
  const running = new RunningDaemon(definition, start);
  await running.run();
}

export class RunningDaemon {
  readonly #definition: DaemonDefinition;
  readonly #start: DaemonStart;
  readonly #log: DaemonLog;
  readonly #metrics = new Metrics();
  readonly #bus: BusServer;
  readonly #startedWallMs = Date.now();
  #config: EffectiveConfig;
  #daemon: Daemon | undefined;
  #isStopping = false;
  #isReady = false;
  #closeInspection: (() => void) | undefined;

  constructor(definition: DaemonDefinition, start: DaemonStart) {
    this.#definition = definition;
    this.#start = start;
    this.#config = start.config;
    const { node, log } = start.config;
    this.#log = openLog({ daemon: definition.name, node: node.name, level: log.level });
    const counts = newCounts();
    for (const [key, help] of Object.entries(busMetrics)) {
      const name = `${definition.name}_bus_${snakeCase(key)}_total`;
      this.#metrics.observed(name, help, "counter", () => counts[key as keyof typeof counts]);
    }
    this.#bus = new BusServer({ identity: this.#identity, log: this.#log.log, counts });
  }

  get #identity(): Identity {
    const { id, name, datacenter } = this.#config.node;
    return { daemon: this.#definition.name, release, nodeId: id, node: name, datacenter };
  }

  async run(): Promise<void> {
    const { log } = this.#log;
    process.on("SIGTERM", () => this.stop("SIGTERM"));
    process.on("SIGINT", () => this.stop("SIGINT"));
    process.on("SIGHUP", () => void this.#reload().catch(() => {}));
    process.on("uncaughtException", (error) => this.#crash(error));
    process.on("unhandledRejection", (error) => this.#crash(error));
    try {
      for (const warning of this.#start.warnings) log.warn(warning);
      await this.#open();
    } catch (error) {
      this.#crash(error);
    }
  }

  async #open(): Promise<void> {
    const { name } = this.#definition;
    const { instance } = this.#start;
    const { log, tail } = this.#log;
    serveControl(this.#bus, {
      daemon: name,
      release,
      startedWallMs: this.#startedWallMs,
      configHash: () => this.#config.hash,
      notReady: () => this.#notReady(),
      details: () => this.#daemon?.details() ?? {},
      log,
      tail,
      metrics: this.#metrics,
      reload: () => this.#reload(),
      stop: (reason) => this.stop(reason),
    });
    this.#daemon = await this.#definition.start({
      name,
      instance,
      config: this.#config,
      identity: this.#identity,
      log,
      metrics: this.#metrics,
      bus: this.#bus,
      fail: (error) => this.#crash(error),
    });
    await this.#bus.listen({ path: socketPath(this.#config, name, instance) });
    const port = this.#config.metricsPorts[name];
    if (port !== undefined) {
      this.#closeInspection = serveInspection(port, this.#metrics, () => this.#notReady());
    }
    log.info({ pid: process.pid, release, config: this.#config.hash.slice(0, 12) }, "started");
    this.#awaitReady();
  }

  #notReady(): string | undefined {
    if (this.#isStopping) return "stopping";
    return this.#daemon === undefined ? "starting" : this.#daemon.ready();
  }

  #awaitReady(): void {
    const reason = this.#notReady();
    if (this.#isStopping || this.#isReady) return;
    if (reason !== undefined) {
      setTimeout(() => this.#awaitReady(), readyPollMs);
      return;
    }
    this.#isReady = true;
    sdNotify("READY=1\nSTATUS=ready");
    this.#log.log.info({ afterMs: Math.round(performance.now()) }, "ready");
  }

  async #reload(): Promise<Reloaded> {
    const { log } = this.#log;
    try {
      const { config, warnings } = await loadDaemonConfig(this.#start.argv);
      for (const warning of warnings) log.warn(warning);
      if (config.hash === this.#config.hash) return { changed: [], needsRestart: [] };
      const { name } = this.#definition;
      const reloaded = await this.#daemon?.reload?.(config) ??
        { changed: [], needsRestart: [name] };
      if (config.log.level !== this.#config.log.level) {
        log.level = config.log.level;
        reloaded.changed.push("log_level");
      }
      this.#config = config;
      log.info(reloaded, "configuration reloaded");
      return reloaded;
    } catch (error) {
      log.error({ err: error }, "configuration not reloaded: the one before stays in force");
      throw error;
    }
  }

  /** Signals and Control.Stop end here. A second one does not wait. */
  stop(reason: string): void {
    const { log } = this.#log;
    if (this.#isStopping) return this.#exit(1);
    this.#isStopping = true;
    log.info({ reason }, "stopping");
    sdNotify("STOPPING=1");
    const timer = setTimeout(() => {
      log.error("did not stop in time");
      this.#exit(1);
    }, stopMaxMs);
    this.#close().then(() => {
      clearTimeout(timer);
      log.info("stopped");
      this.#exit(0);
    }, (error) => this.#crash(error));
  }

  async #close(): Promise<void> {
    this.#closeInspection?.();
    await this.#bus.stop();
    await this.#daemon?.stop();
  }

  #crash(error: unknown): void {
    this.#log.log.fatal({ err: error }, "cannot go on");
    this.#exit(error instanceof FinalError ? finalStatus : 1);
  }

  #exit(code: number): void {
    this.#log.flush();
    process.exit(code);
  }
}

const busMetrics = {
  calls: "Calls that arrived.",
  failures: "Calls answered with an error.",
  connectionsOpened: "Connections accepted.",
  connectionsClosed: "Connections ended.",
  badFrames: "Connections closed for a frame that breaks the protocol.",
  oversizedFrames: "Connections closed for a frame above the limit.",
  badPayloads: "Calls whose message could not be decoded.",
  overloads: "Calls refused because too much was waiting.",
  forwarded: "Calls passed on to another daemon.",
  bytesIn: "Bytes received.",
  bytesOut: "Bytes sent.",
};

function snakeCase(name: string): string {
  return name.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);
}
