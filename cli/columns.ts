// Tables as Consul prints them.

/** Columns two spaces apart; the last one is not padded; empty cells stay blank. */
export function formatColumns(rows: readonly (readonly string[])[]): string {
  return padded(rows, 2, true);
}

/** Like Go's tab writer with six spaces: every cell but the last is padded. */
export function formatTabs(rows: readonly (readonly string[])[]): string {
  return padded(rows, 6, false);
}

function padded(rows: readonly (readonly string[])[], gap: number, trimEnd: boolean): string {
  const widths: number[] = [];
  for (const row of rows) {
    row.forEach((cell, i) => widths[i] = Math.max(widths[i] ?? 0, [...cell].length));
  }
  return rows.map((row) => {
    const line = row.map((cell, i) =>
      i === row.length - 1 ? cell : cell + " ".repeat(widths[i]! - [...cell].length + gap)
    ).join("");
    return `${trimEnd ? line.trimEnd() : line}\n`;
  }).join("");
}

/** `ab, cd` for `{a: b, c: d}`, sorted. */
export function formatMap(map: Readonly<Record<string, string>> | null, separator: string): string {
  return Object.entries(map ?? {}).sort(([a], [b]) => a < b ? -1 : 1)
    .map(([key, value]) => `${key}=${value}`).join(separator);
}
