// Runs probes: one at a time per check, each with its timeout, aborted when the check goes.

import type { CheckDefinition } from "#shared/config/definitions.ts";
import type { Clock } from "#shared/machine.ts";
import { kindOf, outputSizeOf, timeoutOf } from "../core/check-rules.ts";
import type { ProbeResult } from "../core/schedule.ts";
import type { CheckdMetrics } from "../metrics.ts";
import type { Probe, ProbeContext, ProbeTls } from "./probes/probe.ts";
import { probes } from "./probes/table.ts";

export interface ProbeRunnerOptions {
  /** Bytes of output, where a check asks for no less. */
  outputSizeMax: number;
  tls: ProbeTls;
  alias: Probe;
  clock: Clock;
  metrics: CheckdMetrics;
}

type Told = (result: ProbeResult | null, isLast: boolean) => void;

export class ProbeRunner {
  readonly #options: ProbeRunnerOptions;
  readonly #running = new Map<string, AbortController>();

  constructor(options: ProbeRunnerOptions) {
    this.#options = options;
  }

  start(checkId: string, definition: CheckDefinition, tell: Told): void {
    this.abort(checkId);
    const controller = new AbortController();
    this.#running.set(checkId, controller);
    const { signal } = controller;
    void this.#run(definition, signal, tell).then((result) => {
      if (this.#running.get(checkId) === controller) this.#running.delete(checkId);
      if (!signal.aborted) tell(result, true);
    });
  }

  abort(checkId: string): void {
    this.#running.get(checkId)?.abort();
    this.#running.delete(checkId);
  }

  stop(): void {
    for (const checkId of [...this.#running.keys()]) this.abort(checkId);
  }

  async #run(
    definition: CheckDefinition,
    signal: AbortSignal,
    tell: Told,
  ): Promise<ProbeResult | null> {
    const { clock, metrics } = this.#options;
    const kind = kindOf(definition) ?? "ttl";
    const startMs = clock.nowMs();
    const count = (result: ProbeResult | null) => {
      if (result !== null) metrics.probes.with({ kind, result: result.status }).add();
    };
    const context: ProbeContext = {
      timeoutMs: timeoutOf(definition),
      outputMax: outputSizeOf(definition, this.#options.outputSizeMax),
      signal,
      tls: this.#options.tls,
      report: (result) => {
        count(result);
        if (!signal.aborted) tell(result, false);
      },
    };
    try {
      const result = await this.#probeOf(kind)(definition, context);
      count(result);
      return result;
    } catch (error) {
      // A probe must not throw; if it does the check says so instead of the daemon dying.
      return { status: "critical", output: String(error), isFinal: false };
    } finally {
      metrics.probeSeconds.with({ kind }).observe((clock.nowMs() - startMs) / 1000);
    }
  }

  #probeOf(kind: string): Probe {
    if (kind === "alias") return this.#options.alias;
    const probe = (probes as Record<string, Probe>)[kind];
    if (probe === undefined) throw new Error(`no probe runs checks of kind ${kind}`);
    return probe;
  }
}
