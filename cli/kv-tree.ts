// `kv export` and `kv import`: a tree of keys as JSON.

import type { Command, CommandContext } from "./command.ts";
import { readData } from "./argument-text.ts";
import { flag } from "./flags.ts";
import { failed, readPairs, refuseTooMany, write } from "./kv-store.ts";
import type { KvPair } from "./kv-store.ts";
import { CommandFailure } from "./refusal.ts";

interface ExportedPair {
  key: string;
  flags: number;
  value: string;
}

const reach = { isClient: true, isServerCall: true, hasTenancy: true };

export const treeCommands: readonly Command[] = [
  {
    path: "kv export",
    summary: "Exports a tree from the KV store as JSON",
    usage: "[KEY_OR_PREFIX]",
    ...reach,
    run: exportTree,
  },
  {
    path: "kv import",
    summary: "Imports a tree stored as JSON to the KV store",
    usage: "[DATA]",
    flags: [flag("prefix", "string", "Key prefix for imported data.")],
    ...reach,
    run: importTree,
  },
];

async function exportTree({ args, api, terminal }: CommandContext): Promise<number> {
  if (args.length > 1) refuseTooMany(args.length, 1);
  const prefix = (args[0] ?? "").replace(/^\//, "");
  let pairs: KvPair[];
  try {
    pairs = await readPairs(api(), prefix, { recurse: "" });
  } catch (error) {
    throw failed("Error querying Consul agent", error);
  }
  const exported: ExportedPair[] = pairs.map((pair) => ({
    key: pair.Key,
    flags: pair.Flags,
    value: pair.Value ?? "",
  }));
  terminal.out(`${JSON.stringify(exported, null, "\t")}\n`);
  return 0;
}

async function importTree({ args, flags, api, terminal }: CommandContext): Promise<number> {
  if (args[0] === undefined) throw new CommandFailure("Error! Missing DATA argument");
  if (args.length > 1) refuseTooMany(args.length, 1);
  const data = await readData(args[0], terminal, "Error! Failed to read");
  let pairs: ExportedPair[];
  try {
    pairs = JSON.parse(new TextDecoder().decode(data)) as ExportedPair[];
  } catch (error) {
    throw new CommandFailure(`Cannot unmarshal data: ${(error as Error).message}`);
  }
  const agent = api();
  const prefix = flags.string("prefix");
  for (const { key, flags: keyFlags, value } of pairs) {
    const name = joinKey(prefix, key);
    const query: Record<string, string> = keyFlags === 0 ? {} : { flags: String(keyFlags) };
    const body = Buffer.from(value, "base64");
    await write(agent, "PUT", name, query, body, "Error! Failed writing data for key " + name);
    terminal.out(`Imported: ${name}\n`);
  }
  return 0;
}

/** A directory keeps its final slash. */
function joinKey(prefix: string, key: string): string {
  if (prefix === "") return key;
  return `${prefix.replace(/\/+$/, "")}/${key.replace(/^\/+/, "")}`;
}
