// Reads configuration from the command line and disk, for `agent` and for a daemon on its own.

import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { hostname, networkInterfaces, tmpdir } from "node:os";
import { join, resolve } from "node:path";
import type { AgentFlags } from "./agent-flags.ts";
import { loadConfig, parseServices } from "./assemble.ts";
import type { LoadedConfig } from "./assemble.ts";
import type { ServiceDefinition } from "./definitions.ts";
import type { HostFacts } from "./host-facts.ts";
import { settleNodeId } from "./identity.ts";
import { seal } from "./seal.ts";
import { ConfigRefusal, formatOf } from "./source.ts";
import type { ConfigFormat, ConfigSource } from "./source.ts";
import type { EffectiveConfig } from "./types.ts";

export { socketPath } from "./socket-path.ts";

export interface AgentStart {
  config: EffectiveConfig;
  warnings: string[];
  notServed: string[];
}

/** Throws ConfigRefusal. Settles the node's id, which may create the data directory. With -dev a
 *  reload gives the run directory that it made at first. */
export function loadAgentConfig(flags: AgentFlags, devRunDir?: string): AgentStart {
  const loaded = loadFiles(flags, readHost(flags.dev, devRunDir));
  const config = loaded.config;
  if (config === undefined) throw new ConfigRefusal(loaded.errors.join("\n"));
  refuseConsulData(config.dataDir);
  const id = settleNodeId(config.node.id, config.dataDir, config.node.isIdOfHost);
  return {
    config: seal({ ...config, node: { ...config.node, id } }),
    warnings: loaded.warnings,
    notServed: loaded.notServed,
  };
}

/** A directory in which Consul ran holds its Raft log under these names. */
function refuseConsulData(dataDir: string): void {
  for (const name of ["raft/raft.db", "raft/wal", "mdb"]) {
    const path = join(dataDir, name);
    if (!existsSync(path)) continue;
    throw new ConfigRefusal(
      `data_dir ${JSON.stringify(dataDir)} was made by Consul (it holds ${name}), which Curia ` +
        "does not open. To take the data over: save it with `consul snapshot save x.snap`, start " +
        "Curia with an empty data_dir, and run `curia snapshot restore x.snap`",
    );
  }
}

/** Reads and checks without touching the data directory (`validate`). */
export function loadFiles(flags: AgentFlags, host: HostFacts): LoadedConfig {
  const warnings: string[] = [...flags.warnings];
  let files: ConfigSource[];
  try {
    files = flags.paths.flatMap((path) => readPath(path, flags.format, warnings));
  } catch (error) {
    if (!(error instanceof ConfigRefusal)) throw error;
    return { config: undefined, warnings, notServed: [], errors: [error.message] };
  }
  const loaded = loadConfig({ ...flags, files, flags, host });
  return { ...loaded, warnings: [...warnings, ...loaded.warnings] };
}

/** The service definitions of files, apart from any agent's configuration. Throws ConfigRefusal. */
export function readServiceFiles(flags: AgentFlags): ServiceDefinition[] {
  return flags.paths.flatMap((path) => readPath(path, flags.format, []))
    .flatMap((source) => parseServices(source));
}

/** Writes the file that daemons start from, and makes the run directory. */
export function writeEffective(config: EffectiveConfig): string {
  mkdirSync(config.runDir, { recursive: true, mode: 0o750 });
  const path = join(config.runDir, "config.json");
  const fresh = `${path}.new`;
  writeFileSync(fresh, `${JSON.stringify(config, null, 1)}\n`, { mode: 0o640 });
  renameSync(fresh, path);
  return path;
}

function readPath(path: string, format: ConfigFormat | "", warnings: string[]): ConfigSource[] {
  if (!fileStatus(path).isDirectory()) {
    const known = format || formatOf(path);
    if (known === undefined) {
      throw new ConfigRefusal(
        `file ${path} has unknown extension; must be .hcl or .json, or config format must be set`,
      );
    }
    return [{ name: path, format: known, text: readText(path) }];
  }
  const sources: ConfigSource[] = [];
  for (const name of readdirSync(path).sort()) {
    const file = join(path, name);
    if (fileStatus(file).isDirectory()) continue;
    const known = format || formatOf(file);
    if (known === undefined) {
      warnings.push(
        `skipping file ${file}, extension must be .hcl or .json, or config format must be set`,
      );
      continue;
    }
    sources.push({ name: file, format: known, text: readText(file) });
  }
  return sources;
}

function fileStatus(path: string) {
  try {
    return statSync(path);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    const cause = code === "ENOENT" ? "no such file or directory" : String(code);
    throw new ConfigRefusal(`config: Open failed on ${path}. open ${path}: ${cause}`);
  }
}

function readText(path: string): string {
  try {
    return readFileSync(path, "utf8");
  } catch (error) {
    throw new ConfigRefusal(
      `config: ReadFile failed on ${path}: ${(error as NodeJS.ErrnoException).code}`,
    );
  }
}

/** With -dev and no run directory given, one is made in the temporary directory. */
export function readHost(dev: boolean, devRunDir?: string): HostFacts {
  let temporary = devRunDir;
  return {
    hostName: hostname(),
    interfaces: Object.entries(networkInterfaces()).flatMap(([name, addresses]) =>
      (addresses ?? []).map(({ address, family, internal }) => ({
        name,
        address: address.split("%")[0]!,
        family: family === "IPv4" ? 4 as const : 6 as const,
        isLoopback: internal,
      }))
    ),
    fileDescriptorsMax: fileDescriptorsMax(),
    get fallbackRunDir() {
      if (!dev) return "";
      return temporary ??= mkdtempSync(join(tmpdir(), "curia-dev-"));
    },
    absolutePath: (path) => resolve(path),
    pathKind: (path) => {
      try {
        return statSync(path).isDirectory() ? "directory" : "other";
      } catch {
        return "absent";
      }
    },
  };
}

/** The hard limit, which Go programs raise themselves to. */
function fileDescriptorsMax(): number {
  try {
    const line = /^Max open files\s+(\S+)\s+(\S+)/m.exec(readFileSync("/proc/self/limits", "utf8"));
    const limit = Number(line?.[2]);
    return Number.isFinite(limit) ? limit : Number.MAX_SAFE_INTEGER;
  } catch {
    return Number.MAX_SAFE_INTEGER;
  }
}
