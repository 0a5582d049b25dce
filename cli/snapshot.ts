// `snapshot`: saves, restores and looks into archives of the state.

import { readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { extname } from "node:path";
import { goOpenError } from "./go-errors.ts";
import { formatTabs } from "./columns.ts";
import type { Command, CommandContext } from "./command.ts";
import { flag } from "./flags.ts";
import { ask, CommandFailure } from "./refusal.ts";
import { ArchiveError, countRecords, readArchive } from "./snapshot-archive.ts";
import type { ArchiveStats, RecordCount } from "./snapshot-archive.ts";

const defaultKeyDepth = 2;
const reach = { isClient: true, isServerCall: true };

export const commands: readonly Command[] = [
  {
    path: "snapshot inspect",
    summary: "Displays information about a Consul snapshot file",
    usage: "[options] FILE",
    flags: [
      flag("format", "string", "Output format {pretty|json}"),
      flag("kvdepth", "int", "How many segments of a key make a group (default 2)."),
      flag("kvdetails", "bool", "Also show the keys, grouped."),
      flag("kvfilter", "string", "Only keys with this prefix."),
    ],
    run: inspect,
  },
  {
    path: "snapshot restore",
    summary: "Restores snapshot of Consul server state",
    usage: "[options] FILE",
    ...reach,
    run: restore,
  },
  {
    path: "snapshot save",
    summary: "Saves snapshot of Consul server state",
    usage: "[options] FILE",
    flags: [
      flag("append-filename", "string", "Any of version,dc,node,status to put into the name."),
    ],
    ...reach,
    run: save,
  },
];

async function save({ args, flags, api, terminal }: CommandContext): Promise<number> {
  const path = await namedFile(oneFile(args), flags.string("append-filename"), api);
  const { bytes } = await ask("Error saving snapshot", api().call("GET", "/v1/snapshot"));
  const unverified = `${path}.${process.pid}.unverified`;
  try {
    writeFileSync(unverified, bytes, { mode: 0o600 });
  } catch (error) {
    throw new CommandFailure(
      `Error writing unverified snapshot file: ${goOpenError(`${path}.unverified`, error)}`,
    );
  }
  try {
    const { meta } = readArchive(bytes);
    renameSync(unverified, path);
    terminal.out(`Saved and verified snapshot to index ${meta.Index}\n`);
    return 0;
  } catch (error) {
    if (!(error instanceof ArchiveError)) throw error;
    throw new CommandFailure(`Error verifying snapshot file: ${error.message}`);
  } finally {
    rmSync(unverified, { force: true });
  }
}

/** `x.snap` with `version,dc` becomes `x-1.21.0-dc1.snap`; unknown parts are ignored. */
async function namedFile(
  path: string,
  parts: string,
  api: CommandContext["api"],
): Promise<string> {
  if (parts === "") return path;
  const self = await ask(
    "Error connecting to Consul agent and fetching its configuration",
    api().json<{ Config: Record<string, unknown> }>("GET", "/v1/agent/self"),
  );
  const known: Record<string, unknown> = {
    version: self.Config["Version"],
    dc: self.Config["Datacenter"],
    node: self.Config["NodeName"],
    status: self.Config["Server"] === true ? "server" : "client",
  };
  const words = parts.split(",").map((name) => known[name.trim()])
    .filter((value) => typeof value === "string");
  const extension = extname(path);
  const stem = path.slice(0, path.length - extension.length);
  return [stem, ...words].join("-") + extension;
}

async function restore({ args, api, terminal }: CommandContext): Promise<number> {
  const body = readSnapshot(oneFile(args));
  await ask("Error restoring snapshot", api().call("PUT", "/v1/snapshot", { body }));
  terminal.out("Restored snapshot\n");
  return 0;
}

function inspect({ args, flags, terminal }: CommandContext): number {
  const bytes = readSnapshot(oneFile(args));
  const format = flags.string("format", "pretty");
  if (format !== "pretty" && format !== "json") {
    throw new CommandFailure(`Unknown format: ${format}`);
  }
  let stats: ArchiveStats;
  try {
    stats = countRecords(bytes, {
      depth: flags.int("kvdepth", defaultKeyDepth),
      filter: flags.string("kvfilter"),
    });
  } catch (error) {
    if (!(error instanceof ArchiveError)) throw error;
    throw new CommandFailure(`Error reading snapshot: ${error.message}`);
  }
  const hasKeys = flags.bool("kvdetails");
  terminal.out(format === "json" ? jsonText(stats, hasKeys) : prettyText(stats, hasKeys));
  return 0;
}

function oneFile(args: readonly string[]): string {
  const [path] = args;
  if (path === undefined) throw new CommandFailure("Missing FILE argument");
  if (args.length > 1) {
    throw new CommandFailure(`Too many arguments (expected 1, got ${args.length})`);
  }
  return path;
}

function readSnapshot(path: string): Uint8Array {
  try {
    return readFileSync(path);
  } catch (error) {
    throw new CommandFailure(`Error opening snapshot file: ${goOpenError(path, error)}`);
  }
}

function jsonText({ meta, records, keys, totalBytes, keyBytes }: ArchiveStats, hasKeys: boolean) {
  const { ID, Index, Term, Size, Version } = meta;
  const shown = {
    Meta: { ID, Size, Index, Term, Version },
    Stats: records,
    StatsKV: hasKeys ? keys : null,
    TotalSize: totalBytes,
    TotalSizeKV: hasKeys ? keyBytes : 0,
  };
  return `${JSON.stringify(shown, null, 3)}\n`;
}

function prettyText(stats: ArchiveStats, hasKeys: boolean): string {
  const { meta } = stats;
  const head = formatTabs([
    [" ID", meta.ID],
    [" Size", String(meta.Size)],
    [" Index", String(meta.Index)],
    [" Term", String(meta.Term)],
    [" Version", String(meta.Version)],
  ]);
  const tables = [table("Type", stats.records, stats.totalBytes)];
  if (hasKeys) tables.push(table("Key Name", stats.keys, stats.keyBytes));
  return [head, ...tables].join("\n");
}

function table(title: string, counts: readonly RecordCount[], totalBytes: number): string {
  const rule = [" ----", "----", "----"];
  return formatTabs([
    [` ${title}`, "Count", "Size"],
    rule,
    ...counts.map(({ Name, Count, Sum }) => [` ${Name}`, String(Count), formatBytes(Sum)]),
    rule,
    [" Total", "", formatBytes(totalBytes)],
  ]);
}

/** One decimal, dropped when it is zero. */
export function formatBytes(bytes: number): string {
  const units = [["TB", 2 ** 40], ["GB", 2 ** 30], ["MB", 2 ** 20], ["KB", 2 ** 10]] as const;
  const unit = units.find(([, size]) => bytes >= size);
  if (unit === undefined) return `${bytes}B`;
  return `${(bytes / unit[1]).toFixed(1).replace(/\.0$/, "")}${unit[0]}`;
}
