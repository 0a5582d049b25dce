// Durations as Go writes them: `300ms`, `1h30m`, `-1.5s`. Exact to the nanosecond.

export class DurationError extends Error {
  override name = "DurationError";
}

const unitNs: Record<string, bigint> = {
  ns: 1n,
  us: 1_000n,
  "µs": 1_000n,
  "μs": 1_000n,
  ms: 1_000_000n,
  s: 1_000_000_000n,
  m: 60_000_000_000n,
  h: 3_600_000_000_000n,
};
const int64Max = (1n << 63n) - 1n;

/** Nanoseconds of a Go duration. Throws DurationError with Go's text. */
export function parseDuration(text: string): bigint {
  const invalid = () => new DurationError(`time: invalid duration ${quote(text)}`);
  let rest = text;
  const isNegative = rest.startsWith("-");
  if (/^[+-]/.test(rest)) rest = rest.slice(1);
  if (rest === "0") return 0n;
  if (rest === "") throw invalid();
  let totalNs = 0n;
  while (rest !== "") {
    const number = /^(\d*)(?:\.(\d*))?/.exec(rest)!;
    const [matched, whole = "", fraction = ""] = number;
    if (whole === "" && fraction === "") throw invalid();
    rest = rest.slice(matched.length);
    const unit = /^[^.\d]*/.exec(rest)![0];
    if (unit === "") {
      throw new DurationError(`time: missing unit in duration ${quote(text)}`);
    }
    const factor = unitNs[unit];
    if (factor === undefined) {
      throw new DurationError(`time: unknown unit ${quote(unit)} in duration ${quote(text)}`);
    }
    rest = rest.slice(unit.length);
    totalNs += BigInt(whole || "0") * factor;
    if (fraction !== "") {
      totalNs += BigInt(fraction) * factor / 10n ** BigInt(fraction.length);
    }
    if (totalNs > int64Max + (isNegative ? 1n : 0n)) throw invalid();
  }
  return isNegative ? -totalNs : totalNs;
}

/** Milliseconds, with a fraction where there is one. Throws DurationError. */
export function parseDurationMs(text: string): number {
  return nsToMs(parseDuration(text));
}

export function nsToMs(ns: bigint): number {
  return Number(ns / 1_000_000n) + Number(ns % 1_000_000n) / 1e6;
}

export function msToNs(ms: number): bigint {
  const whole = Math.trunc(ms);
  return BigInt(whole) * 1_000_000n + BigInt(Math.round((ms - whole) * 1e6));
}

/** As Go prints it: `1h0m0s`, `1.5s`, `10ms`, `0s`. */
export function formatDuration(ns: bigint): string {
  if (ns === 0n) return "0s";
  const sign = ns < 0n ? "-" : "";
  const abs = ns < 0n ? -ns : ns;
  if (abs < 1_000n) return `${sign}${abs}ns`;
  if (abs < 1_000_000n) return `${sign}${decimal(abs, 1_000n)}µs`;
  if (abs < 1_000_000_000n) return `${sign}${decimal(abs, 1_000_000n)}ms`;
  const hours = abs / unitNs.h!;
  const minutes = abs % unitNs.h! / unitNs.m!;
  const seconds = decimal(abs % unitNs.m!, unitNs.s!);
  if (hours > 0n) return `${sign}${hours}h${minutes}m${seconds}s`;
  if (minutes > 0n) return `${sign}${minutes}m${seconds}s`;
  return `${sign}${seconds}s`;
}

export function formatDurationMs(ms: number): string {
  return formatDuration(msToNs(ms));
}

function decimal(value: bigint, unit: bigint): string {
  const digits = String(unit).length - 1;
  const fraction = String(value % unit).padStart(digits, "0").replace(/0+$/, "");
  return `${value / unit}${fraction === "" ? "" : `.${fraction}`}`;
}

function quote(text: string): string {
  return JSON.stringify(text);
}
