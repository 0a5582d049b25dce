// The rejoin snapshot: who was alive and how far the clocks were, as appended lines (Serf's format).

export interface Snapshot {
  /** Name to address and port. */
  alive: Map<string, string>;
  clock: number;
  eventClock: number;
  queryClock: number;
}

export type SnapshotLine =
  | { kind: "alive"; name: string; address: string }
  | { kind: "not-alive"; name: string }
  | { kind: "clock" | "event-clock" | "query-clock"; time: number }
  | { kind: "leave" };

export function emptySnapshot(): Snapshot {
  return { alive: new Map(), clock: 0, eventClock: 0, queryClock: 0 };
}

export function formatSnapshotLine(line: SnapshotLine): string {
  switch (line.kind) {
    case "alive":
      return `alive: ${line.name} ${line.address}\n`;
    case "not-alive":
      return `not-alive: ${line.name}\n`;
    case "leave":
      return "leave\n";
    default:
      return `${line.kind}: ${line.time}\n`;
  }
}

export function applySnapshotLine(
  snapshot: Snapshot,
  line: SnapshotLine,
  rejoinAfterLeave: boolean,
): void {
  switch (line.kind) {
    case "alive":
      snapshot.alive.set(line.name, line.address);
      break;
    case "not-alive":
      snapshot.alive.delete(line.name);
      break;
    case "clock":
      snapshot.clock = line.time;
      break;
    case "event-clock":
      snapshot.eventClock = line.time;
      break;
    case "query-clock":
      snapshot.queryClock = line.time;
      break;
    case "leave":
      if (!rejoinAfterLeave) Object.assign(snapshot, emptySnapshot());
      break;
    default:
      line satisfies never;
  }
}

/** Lines that cannot be read are skipped: the last one may be torn. */
export function parseSnapshot(text: string, rejoinAfterLeave: boolean): Snapshot {
  const snapshot = emptySnapshot();
  for (const row of text.split("\n")) {
    const line = parseLine(row);
    if (line) applySnapshotLine(snapshot, line, rejoinAfterLeave);
  }
  return snapshot;
}

function parseLine(row: string): SnapshotLine | undefined {
  if (row === "leave") return { kind: "leave" };
  const colon = row.indexOf(": ");
  const kind = row.slice(0, colon);
  const value = row.slice(colon + 2);
  if (colon < 0 || value === "") return undefined;
  if (kind === "not-alive") return { kind, name: value };
  if (kind === "alive") {
    const space = value.lastIndexOf(" ");
    if (space <= 0) return undefined;
    return { kind, name: value.slice(0, space), address: value.slice(space + 1) };
  }
  if (kind !== "clock" && kind !== "event-clock" && kind !== "query-clock") return undefined;
  const time = Number(value);
  return Number.isSafeInteger(time) && time >= 0 ? { kind, time } : undefined;
}

/** The whole snapshot in as few lines as can be, to replace a file that has grown. */
export function formatSnapshot(snapshot: Snapshot): string {
  const lines: SnapshotLine[] = [];
  for (const [name, address] of snapshot.alive) lines.push({ kind: "alive", name, address });
  lines.push({ kind: "clock", time: snapshot.clock });
  lines.push({ kind: "event-clock", time: snapshot.eventClock });
  lines.push({ kind: "query-clock", time: snapshot.queryClock });
  return lines.map(formatSnapshotLine).join("");
}

/** When the file is worth rewriting: 128 KiB, or twice 128 bytes a node. */
export function compactionBytes(nodeCount: number): number {
  return Math.max(128 * 1024, nodeCount * 128 * 2);
}
