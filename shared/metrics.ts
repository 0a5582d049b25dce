// Counters, gauges and histograms of one daemon, declared once in its metrics.ts. They are plain
// numbers in plain objects; prom-client writes the exposition text, and is loaded only for that.

export type Labels = Readonly<Record<string, string>>;

interface Value {
  labels: Labels;
  value: number;
}

export interface MetricSnapshot {
  name: string;
  help: string;
  type: "counter" | "gauge" | "histogram";
  values: (Value & { metricName?: string })[];
}

const namePattern = /^[a-z][a-z0-9]*(_[a-z0-9]+)+$/;

/** One number that counts up. Hot paths keep it and call `add()`. */
export class Counter {
  value = 0;

  add(count = 1): void {
    this.value += count;
  }
}

export class Gauge {
  value = 0;

  set(value: number): void {
    this.value = value;
  }

  add(count = 1): void {
    this.value += count;
  }
}

export class Histogram {
  readonly bounds: readonly number[];
  readonly counts: number[];
  sum = 0;
  count = 0;

  constructor(bounds: readonly number[]) {
    this.bounds = bounds;
    this.counts = new Array(bounds.length).fill(0);
  }

  observe(value: number): void {
    this.sum += value;
    this.count++;
    const { bounds, counts } = this;
    for (let i = 0; i < bounds.length; i++) {
      if (value <= bounds[i]!) {
        counts[i]!++;
        return;
      }
    }
  }
}

/** The same metric once per combination of label values. */
export class Family<Metric> {
  readonly #make: () => Metric;
  readonly members = new Map<string, { labels: Labels; metric: Metric }>();

  constructor(make: () => Metric) {
    this.#make = make;
  }

  with(labels: Labels): Metric {
    const key = Object.keys(labels).sort().map((name) => `${name}=${labels[name]}`).join("\0");
    let member = this.members.get(key);
    if (member === undefined) {
      member = { labels: { ...labels }, metric: this.#make() };
      this.members.set(key, member);
    }
    return member.metric;
  }
}

/** From a tenth of a millisecond to ten seconds. */
export const secondsBuckets = [
  0.0001,
  0.00025,
  0.0005,
  0.001,
  0.0025,
  0.005,
  0.01,
  0.025,
  0.05,
  0.1,
  0.25,
  0.5,
  1,
  2.5,
  5,
  10,
];

export class Metrics {
  readonly #snapshots = new Map<string, () => MetricSnapshot>();

  counter(name: string, help: string): Counter {
    return this.counters(name, help).with({});
  }

  counters(name: string, help: string): Family<Counter> {
    const family = new Family(() => new Counter());
    this.#add(name, help, "counter", () => numbers(family));
    return family;
  }

  gauge(name: string, help: string): Gauge {
    return this.gauges(name, help).with({});
  }

  gauges(name: string, help: string): Family<Gauge> {
    const family = new Family(() => new Gauge());
    this.#add(name, help, "gauge", () => numbers(family));
    return family;
  }

  /** A number that is read when it is asked for. */
  observed(name: string, help: string, type: "counter" | "gauge", read: () => number): void {
    this.#add(name, help, type, () => [{ labels: {}, value: read() }]);
  }

  histogram(name: string, help: string, bounds: readonly number[] = secondsBuckets): Histogram {
    return this.histograms(name, help, bounds).with({});
  }

  histograms(
    name: string,
    help: string,
    bounds: readonly number[] = secondsBuckets,
  ): Family<Histogram> {
    const family = new Family(() => new Histogram(bounds));
    this.#add(name, help, "histogram", () => histogramValues(name, family));
    return family;
  }

  snapshot(): MetricSnapshot[] {
    return [...this.#snapshots.values()].map((read) => read());
  }

  /** Name and help of every metric, for documentation and tests. */
  names(): string[] {
    return [...this.#snapshots.keys()];
  }

  async prometheus(): Promise<{ body: string; contentType: string }> {
    const { Registry } = await import("prom-client");
    const registry = new Registry();
    for (const snapshot of this.snapshot()) {
      const metric = { ...snapshot, get: () => Promise.resolve(snapshot), collect: () => {} };
      registry.registerMetric(metric as never);
    }
    return { body: await registry.metrics(), contentType: registry.contentType };
  }

  #add(
    name: string,
    help: string,
    type: MetricSnapshot["type"],
    read: () => MetricSnapshot["values"],
  ): void {
    if (!namePattern.test(name)) {
      throw new Error(`Expected a metric name such as dnsd_queries_total but got ${name}`);
    }
    if (this.#snapshots.has(name)) throw new Error(`Metric ${name} is declared twice`);
    this.#snapshots.set(name, () => ({ name, help, type, values: read() }));
  }
}

function numbers(family: Family<Counter | Gauge>): Value[] {
  return [...family.members.values()].map(({ labels, metric }) => ({
    labels,
    value: metric.value,
  }));
}

function histogramValues(name: string, family: Family<Histogram>): MetricSnapshot["values"] {
  return [...family.members.values()].flatMap(({ labels, metric }) => {
    let total = 0;
    const buckets = metric.bounds.map((bound, i) => ({
      metricName: `${name}_bucket`,
      labels: { ...labels, le: String(bound) },
      value: total += metric.counts[i]!,
    }));
    return [
      ...buckets,
      { metricName: `${name}_bucket`, labels: { ...labels, le: "+Inf" }, value: metric.count },
      { metricName: `${name}_sum`, labels, value: metric.sum },
      { metricName: `${name}_count`, labels, value: metric.count },
    ];
  });
}
