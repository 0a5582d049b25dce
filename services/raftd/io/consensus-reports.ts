// What the consensus worker tells of itself besides its turns, as log lines and metrics.

import type { DaemonContext } from "#shared/daemon.ts";
import type { RaftdMetrics } from "../metrics.ts";
import type { ConsensusEvents } from "./consensus-link.ts";

export class ConsensusReports implements ConsensusEvents {
  isDiskFull = false;
  readonly #context: Pick<DaemonContext, "log" | "fail">;
  readonly #metrics: RaftdMetrics;

  constructor(context: Pick<DaemonContext, "log" | "fail">, metrics: RaftdMetrics) {
    this.#context = context;
    this.#metrics = metrics;
  }

  disk(isFull: boolean, freeBytes: number): void {
    this.isDiskFull = isFull;
    const { log } = this.#context;
    if (isFull) log.error({ freeBytes }, "disk full: writes are refused until space is freed");
    else log.info({ freeBytes }, "disk space is back: writes are accepted");
  }

  damaged(firstIndex: number, lastIndex: number): void {
    const text = "log.db is damaged from firstIndex on: cut there, the leader sends it again";
    const isKnown = lastIndex < Number.MAX_SAFE_INTEGER;
    this.#context.log.error({ firstIndex, lastIndex: isKnown ? lastIndex : "unknown" }, text);
  }

  logWritten(tookMs: number): void {
    this.#metrics.commitSeconds.observe(tookMs / 1000);
  }

  late(lateMs: number): void {
    this.#metrics.lateTimers.add();
    const { log } = this.#context;
    log.warn({ lateMs: Math.round(lateMs) }, "consensus had no processor in time");
  }

  garbage(address: string, reason: string): void {
    this.#metrics.badPeerConnections.add();
    this.#context.log.warn({ address, reason }, "connection to the server port closed");
  }

  failed(reason: string): void {
    this.#context.fail(new Error(reason));
  }
}
