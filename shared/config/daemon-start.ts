// The configuration of a daemon. The agent has made it already and gives it as a file; only a daemon
// on its own loads what reads Consul's keys.

import { readFileSync } from "node:fs";
import { ConfigRefusal } from "./refusal.ts";
import { seal } from "./seal.ts";
import type { EffectiveConfig } from "./types.ts";

export interface DaemonStart {
  config: EffectiveConfig;
  warnings: string[];
  notServed: string[];
  /** 1 for the only or first instance. */
  instance: number;
  /** The command line given, for reading it again on reload. */
  argv: readonly string[];
}

/** `--config <file>` from the agent, else agent's own flags. Throws ConfigRefusal, FlagError or
 *  HelpWanted. */
export async function loadDaemonConfig(argv: readonly string[]): Promise<DaemonStart> {
  const { value: instanceText, rest: withoutInstance } = takeFlag(argv, "instance");
  const { value: file, rest } = takeFlag(withoutInstance, "config");
  const instance = instanceText === undefined ? 1 : Number(instanceText);
  if (!Number.isSafeInteger(instance) || instance < 1) {
    throw new ConfigRefusal(`-instance must be a number from 1, received: ${instanceText}`);
  }
  if (file !== undefined) {
    const config = readEffective(file);
    return { config, warnings: [], notServed: [], instance, argv };
  }
  const [{ parseAgentFlags }, { loadAgentConfig }] = await Promise.all([
    import("./agent-flags.ts"),
    import("./load.ts"),
  ]);
  const { config, warnings, notServed } = loadAgentConfig(parseAgentFlags(rest));
  return { config, warnings, notServed, instance, argv };
}

export function readEffective(path: string): EffectiveConfig {
  let config: EffectiveConfig;
  try {
    config = JSON.parse(readFileSync(path, "utf8")) as EffectiveConfig;
  } catch (error) {
    throw new ConfigRefusal(`cannot read the configuration ${path}: ${(error as Error).message}`);
  }
  if (seal(config).hash !== config.hash) {
    throw new ConfigRefusal(
      `${path} is not an effective configuration (its hash does not match); give Consul's keys ` +
        "with -config-file instead",
    );
  }
  return config;
}

/** Takes one `-name value` or `-name=value` out of a command line, wherever it stands. */
function takeFlag(
  argv: readonly string[],
  name: string,
): { value: string | undefined; rest: string[] } {
  const rest = [...argv];
  for (let i = 0; i < rest.length; i++) {
    const match = new RegExp(`^--?${name}(?:=(.*))?$`, "s").exec(rest[i]!);
    if (match === null) continue;
    if (match[1] !== undefined) {
      rest.splice(i, 1);
      return { value: match[1], rest };
    }
    const [, value] = rest.splice(i, 2);
    if (value === undefined) throw new ConfigRefusal(`flag needs an argument: -${name}`);
    return { value, rest };
  }
  return { value: undefined, rest };
}
