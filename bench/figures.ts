// How the benchmarks show what they measured: percentiles, a histogram of bars, tables for a note.

import { cpus, loadavg } from "node:os";

/** What else the machine does: a figure of a busy one says little. */
export function machineNote(): string {
  return `${cpus().length} processors, load average of the last minute ${loadavg()[0]!.toFixed(1)}`;
}

export interface Spread {
  p50: number;
  p99: number;
  max: number;
}

export function spreadOf(values: readonly number[]): Spread {
  const sorted = [...values].sort((a, b) => a - b);
  const at = (share: number) =>
    sorted[Math.min(sorted.length - 1, Math.ceil(share * sorted.length) - 1)];
  return { p50: at(0.5) ?? NaN, p99: at(0.99) ?? NaN, max: sorted.at(-1) ?? NaN };
}

export function formatSpread(values: readonly number[], unit = "ms"): string {
  const { p50, p99, max } = spreadOf(values);
  const digits = p50 < 10 ? 1 : 0;
  return `p50 ${p50.toFixed(digits)}, p99 ${p99.toFixed(digits)}, max ${
    max.toFixed(digits)
  } ${unit}`;
}

/** One line per step of `width`, from the lowest value to the highest. */
export function histogram(values: readonly number[], width: number, unit = "ms"): string {
  const counts = new Map<number, number>();
  for (const value of values) {
    const step = Math.floor(value / width);
    counts.set(step, (counts.get(step) ?? 0) + 1);
  }
  const steps = [...counts.keys()];
  const lines: string[] = [];
  for (let step = Math.min(...steps); step <= Math.max(...steps); step++) {
    const count = counts.get(step) ?? 0;
    const range = `${step * width}–${(step + 1) * width} ${unit}`;
    lines.push(`${range.padStart(16)} ${String(count).padStart(4)} ${"#".repeat(count)}`);
  }
  return lines.join("\n");
}

export function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const line = (cells: readonly string[]) => `| ${cells.join(" | ")} |`;
  return [line(head), line(head.map(() => "---")), ...rows.map(line)].join("\n");
}
