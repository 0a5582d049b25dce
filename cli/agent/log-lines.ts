// A daemon's log lines (JSON, one object each) in the forms that Consul's agent prints.

export interface LogRecord {
  level: LineLevel;
  /** Calendar time in milliseconds. */
  timeMs: number;
  /** `agent`, or the daemon's name. */
  module: string;
  message: string;
  fields: Readonly<Record<string, unknown>>;
}

export const lineLevels = ["trace", "debug", "info", "warn", "error"] as const;
export type LineLevel = (typeof lineLevels)[number];

/** Pino's numbers; 60 (fatal) shows as error. */
const levelNumbers: ReadonlyMap<unknown, LineLevel> = new Map([
  [10, "trace"],
  [20, "debug"],
  [30, "info"],
  [40, "warn"],
  [50, "error"],
  [60, "error"],
]);
/** Members that have a place of their own in a line, or say nothing new. */
const ownMembers = new Set([
  "level",
  "time",
  "msg",
  "daemon",
  "name",
  "pid",
  "hostname",
  "node",
]);

/** A line that is no JSON object (a crash's stack, say) becomes an error of its daemon. */
export function parseLine(line: string, daemon: string, nowMs: number): LogRecord {
  const value = parseObject(line);
  if (value === undefined) {
    return { level: "error", timeMs: nowMs, module: daemon, message: line, fields: {} };
  }
  const fields = Object.fromEntries(
    Object.entries(value).filter(([name]) => !ownMembers.has(name)),
  );
  const { level, time, msg } = value;
  return {
    level: levelNumbers.get(level) ?? asLevel(level) ?? "info",
    timeMs: typeof time === "number" ? time : timeOf(time) ?? nowMs,
    module: daemon,
    message: typeof msg === "string" ? msg : "",
    fields,
  };
}

function parseObject(line: string): Record<string, unknown> | undefined {
  if (!line.startsWith("{")) return undefined;
  try {
    return JSON.parse(line) as Record<string, unknown>;
  } catch {
    return undefined;
  }
}

function asLevel(value: unknown): LineLevel | undefined {
  return value === "fatal" ? "error" : lineLevels.find((level) => level === value);
}

function timeOf(value: unknown): number | undefined {
  const timeMs = typeof value === "string" ? Date.parse(value) : NaN;
  return Number.isNaN(timeMs) ? undefined : timeMs;
}

/** `2026-01-31T10:00:00.000Z [INFO]  raftd: text: key=value` */
export function formatText(record: LogRecord): string {
  const time = new Date(record.timeMs).toISOString();
  const level = `[${record.level.toUpperCase()}]`.padEnd(7);
  const fields = Object.entries(record.fields);
  const suffix = fields.length === 0
    ? ""
    : `:${fields.map(([name, value]) => ` ${name}=${fieldText(value)}`).join("")}`;
  return `${time} ${level} ${record.module}: ${record.message}${suffix}`;
}

export function formatJson(record: LogRecord): string {
  return JSON.stringify({
    "@level": record.level,
    "@message": record.message,
    "@module": record.module,
    "@timestamp": new Date(record.timeMs).toISOString(),
    ...record.fields,
  });
}

function fieldText(value: unknown): string {
  const text = typeof value === "string" ? value : JSON.stringify(value);
  return /[\s="]/.test(text) && typeof value === "string" ? JSON.stringify(text) : text;
}

export function isAtLeast(level: LineLevel, least: LineLevel): boolean {
  return lineLevels.indexOf(level) >= lineLevels.indexOf(least);
}
