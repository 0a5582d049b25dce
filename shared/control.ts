// The Control service that every daemon answers on its socket: status, metrics, logs, reload, stop.

import { Control } from "#proto/services.ts";
import type { BusServer } from "./bus/server.ts";
import { CuriaError } from "./errors.ts";
import type { Log, LogTail } from "./log.ts";
import type { Metrics } from "./metrics.ts";

export interface Controlled {
  daemon: string;
  release: string;
  startedWallMs: number;
  configHash(): string;
  /** Why it is not ready; undefined when it is. */
  notReady(): string | undefined;
  details(): Record<string, string>;
  log: Log;
  tail: LogTail;
  metrics: Metrics;
  reload(): Promise<Reloaded>;
  stop(reason: string): void;
}

export interface Reloaded {
  changed: string[];
  needsRestart: string[];
}

const levels = ["trace", "debug", "info", "warn", "error"];

export function serveControl(server: BusServer, controlled: Controlled): void {
  const { log, tail, metrics } = controlled;
  server.serve(Control, {
    status() {
      const reason = controlled.notReady();
      return {
        daemon: controlled.daemon,
        pid: process.pid,
        release: controlled.release,
        ready: reason === undefined,
        reason: reason ?? "",
        startedWallMs: controlled.startedWallMs,
        configHash: controlled.configHash(),
        memoryBytes: process.memoryUsage.rss(),
        details: controlled.details(),
      };
    },
    async metrics({ format }) {
      if (format === "json") {
        return { body: JSON.stringify(metrics.snapshot()), contentType: "application/json" };
      }
      if (format === "" || format === "prometheus") return await metrics.prometheus();
      throw new CuriaError(
        "invalid-argument",
        `Expected the format prometheus or json but got "${format}"`,
      );
    },
    setLogLevel({ level }) {
      if (!levels.includes(level)) {
        throw new CuriaError(
          "invalid-argument",
          `Expected one of the levels ${levels.join(", ")} but got "${level}"`,
        );
      }
      log.level = level;
      log.info({ level }, "log level set");
      return {};
    },
    reload: () => controlled.reload(),
    tailLog({ lines, follow, level }, _call, stream) {
      const lowest = levels.indexOf(level);
      const isWanted = (line: string) => lowest <= 0 || levelOf(line) >= lowest;
      for (const line of tail.last(500).filter(isWanted).slice(-lines || 500)) {
        stream.write({ line });
      }
      if (!follow) return stream.end();
      // A follower that does not keep up misses lines: a log must not grow in memory for it.
      const stop = tail.follow((line) => {
        if (isWanted(line) && stream.isWritable) stream.write({ line });
      });
      stream.onClose(stop);
    },
    stop() {
      // After the answer has left.
      setTimeout(() => controlled.stop("asked to by Control.Stop"), 10);
      return {};
    },
  });
}

function levelOf(line: string): number {
  const level = /"level":"([a-z]+)"/.exec(line)?.[1];
  return level === "fatal" ? levels.length : levels.indexOf(level ?? "");
}
