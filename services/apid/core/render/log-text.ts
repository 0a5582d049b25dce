// A line of a daemon's JSON log as Consul prints its own:
// `2024-05-01T10:00:00.000Z [INFO]  raftd: became leader: term=3`.

/** Fields that are shown elsewhere in the line, or say nothing to a reader. */
const hidden = new Set(["level", "time", "msg", "daemon", "node", "pid", "hostname", "v"]);

export function logText(daemon: string, line: string): string {
  let fields: Record<string, unknown>;
  try {
    fields = JSON.parse(line) as Record<string, unknown>;
  } catch {
    return line;
  }
  const level = String(fields.level ?? "info").toUpperCase();
  const time = fields.time;
  const at = typeof time === "number" ? new Date(time).toISOString() : String(time ?? "");
  const rest = Object.entries(fields).filter(([name]) => !hidden.has(name))
    .map(([name, value]) =>
      `${name}=${typeof value === "string" ? quoted(value) : JSON.stringify(value)}`
    );
  const tail = rest.length === 0 ? "" : `: ${rest.join(" ")}`;
  return `${at} ${`[${level}]`.padEnd(7)} ${String(fields.daemon ?? daemon)}: ${
    String(fields.msg ?? "")
  }${tail}`;
}

function quoted(value: string): string {
  return /[\s="]/.test(value) ? JSON.stringify(value) : value;
}
