// /v1/agent/metrics and its stream: the node's metrics under Consul's names (spec: http-api 5.2).

import { Control } from "#proto/services.ts";
import type { BusClient } from "#shared/bus/client.ts";
import type { Answer } from "../../../core/answer.ts";
import { HttpError } from "../../../core/http-error.ts";
import { indentJson, type Json, type JsonFields, writeJson } from "../../../core/json-writer.ts";
import { type DaemonMetric, type MetricMoment, summarise } from "../../../core/metric-names.ts";
import { type Call, type Handler, type Route, written } from "../../call.ts";

export interface NodeMetricsOptions {
  /** By name: the sockets of all daemons of this node, ourselves not among them. */
  daemons: ReadonlyMap<string, BusClient>;
  own(): readonly DaemonMetric[];
  prefix: string;
  /** Prefixes gauges with the node's name; empty: not. */
  hostname: string;
  /** Whether the Prometheus format is on. */
  isPrometheusOn: boolean;
}

interface Interval {
  atMs: number;
  moment: MetricMoment;
}

const intervalMs = 10_000;
const callTimeoutMs = 2_000;
const promName = (name: string) => name.replaceAll(/[.\-]/g, "_");

/** Collects what each daemon counts, every ten seconds, while somebody has asked lately. */
export class NodeMetrics {
  readonly #options: NodeMetricsOptions;
  readonly #timer: ReturnType<typeof setInterval>;
  #before: Interval | undefined;
  #latest: Interval | undefined;
  #askedAtMs = -Infinity;
  #listeners = new Set<() => void>();

  constructor(options: NodeMetricsOptions) {
    this.#options = options;
    this.#timer = setInterval(() => void this.#tick(), intervalMs);
    this.#timer.unref();
  }

  close(): void {
    clearInterval(this.#timer);
  }

  get isPrometheusOn(): boolean {
    return this.#options.isPrometheusOn;
  }

  async #tick(): Promise<void> {
    if (performance.now() - this.#askedAtMs > 10 * 60_000 && this.#listeners.size === 0) return;
    await this.#collect();
    for (const listener of [...this.#listeners]) listener();
  }

  async #collect(): Promise<Interval> {
    const moment = new Map<string, readonly DaemonMetric[]>();
    moment.set("apid", [...this.#options.own(), memoryMetric()]);
    await Promise.all([...this.#options.daemons].map(async ([name, client]) => {
      try {
        const options = { timeoutMs: callTimeoutMs };
        const [{ body }, { memoryBytes }] = await Promise.all([
          client.of(Control).metrics({ format: "json" }, options),
          client.of(Control).status({}, options),
        ]);
        moment.set(name, [...JSON.parse(body) as DaemonMetric[], memoryMetric(memoryBytes)]);
      } catch {
        // A daemon that is away has no numbers for this interval.
      }
    }));
    const interval = { atMs: Date.now(), moment };
    this.#before = this.#latest;
    this.#latest = interval;
    return interval;
  }

  /** The last finished interval. */
  async summary(): Promise<JsonFields> {
    this.#askedAtMs = performance.now();
    const latest = this.#latest ?? await this.#collect();
    const before = this.#before?.moment ?? new Map<string, readonly DaemonMetric[]>();
    const { prefix, hostname } = this.#options;
    const found = summarise(before, latest.moment, prefix, hostname);
    const at = new Date(Math.floor(latest.atMs / intervalMs) * intervalMs).toISOString();
    const byName = <T extends { name: string }>(list: T[]) =>
      [...list].sort((a, b) => a.name < b.name ? -1 : 1);
    const counted = ({ name, count, sum }: { name: string; count: number; sum: number }): Json => ({
      Name: name,
      Count: count,
      Rate: sum / (intervalMs / 1000),
      Sum: sum,
      Min: sum / count,
      Max: sum / count,
      Mean: sum / count,
      Stddev: 0,
      Labels: {},
    });
    return {
      Timestamp: `${at.slice(0, 10)} ${at.slice(11, 19)} +0000 UTC`,
      Gauges: byName(found.gauges).map(({ name, value }) => ({
        Name: name,
        Value: value,
        Labels: {},
      })),
      Points: [],
      Counters: byName(found.counters).map(counted),
      Samples: byName(found.samples).map(counted),
    };
  }

  /** Consul's names first, then what each daemon has of its own. */
  async prometheus(): Promise<string> {
    const { moment } = await this.#collect();
    const { prefix, hostname } = this.#options;
    const total = summarise(new Map(), moment, prefix, hostname);
    const lines: string[] = [];
    for (const { name, value } of total.gauges) {
      lines.push(`# TYPE ${promName(name)} gauge`, `${promName(name)} ${value}`);
    }
    for (const { name, sum } of total.counters) {
      lines.push(`# TYPE ${promName(name)} counter`, `${promName(name)} ${sum}`);
    }
    for (const { name, count, sum } of total.samples) {
      const shown = promName(name);
      lines.push(`# TYPE ${shown} summary`, `${shown}_sum ${sum}`, `${shown}_count ${count}`);
    }
    for (const metrics of moment.values()) lines.push(...ownLines(metrics));
    return lines.join("\n") + "\n";
  }

  /** Settles at the end of each interval. */
  next(signal: AbortSignal): Promise<void> {
    return new Promise((resolve) => {
      const listener = () => {
        this.#listeners.delete(listener);
        resolve();
      };
      this.#listeners.add(listener);
      signal.addEventListener("abort", listener, { once: true });
    });
  }
}

function memoryMetric(bytes = process.memoryUsage.rss()): DaemonMetric {
  return { name: "memory_bytes", type: "gauge", values: [{ labels: {}, value: bytes }] };
}

function ownLines(metrics: readonly DaemonMetric[]): string[] {
  return metrics.filter(({ name }) => name !== "memory_bytes").flatMap(({ name, type, values }) => [
    `# TYPE ${name} ${type}`,
    ...values.map(({ labels, value, metricName }) => {
      const pairs = Object.entries(labels).map(([key, text]) => `${key}=${JSON.stringify(text)}`);
      return `${metricName ?? name}${pairs.length === 0 ? "" : `{${pairs.join(",")}}`} ${value}`;
    }),
  ]);
}

const notEnabled = "Prometheus is not enabled since its retention time is not positive";

export function metricsRoutes(metrics: NodeMetrics): Route[] {
  const get: Handler = async (call) => {
    if (!wantsPrometheus(call)) return call.json(await metrics.summary());
    if (!metrics.isPrometheusOn) {
      return {
        status: 200,
        contentType: "text/plain; charset=utf-8",
        headers: `X-Consul-Reason: ${notEnabled}\r\n`,
        body: "",
      };
    }
    return await prometheusAnswer(call, metrics);
  };
  const stream: Handler = (call) => {
    void streamSummaries(call, metrics);
    return written;
  };
  const route = (path: string, handler: Handler): Route => {
    return { path, methods: { GET: handler }, acl: "agent:read", enterprise: "none" };
  };
  return [route("/v1/agent/metrics", get), route("/v1/agent/metrics/stream", stream)];
}

function wantsPrometheus(call: Call): boolean {
  const format = call.query.get("format");
  if (format === "prometheus") return true;
  if (format !== "") throw new HttpError(400, `Unknown metrics format: ${format}`);
  const accept = call.header("accept") ?? "";
  return accept.includes("application/openmetrics-text") ||
    /text\/plain\s*;.*version=0\.0\.4/.test(accept);
}

async function prometheusAnswer(_call: Call, metrics: NodeMetrics): Promise<Answer> {
  return {
    status: 200,
    contentType: "text/plain; version=0.0.4; charset=utf-8",
    headers: "",
    body: await metrics.prometheus(),
  };
}

async function streamSummaries(call: Call, metrics: NodeMetrics): Promise<void> {
  const abort = new AbortController();
  call.exchange.onAbort(() => abort.abort());
  const out = call.exchange.startStream(200, "Content-Type: application/json\r\n");
  while (!out.isClosed) {
    const summary = writeJson(await metrics.summary());
    await out.write(Buffer.from(indentJson(summary) + "\n"));
    await metrics.next(abort.signal);
  }
}
