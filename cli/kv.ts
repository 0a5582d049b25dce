// `kv`: reads and writes keys.

import { corruptBase64At } from "#shared/config/build/cluster.ts";
import type { ApiClient } from "./api.ts";
import { formatTabs } from "./columns.ts";
import type { Command, CommandContext, Terminal } from "./command.ts";
import { readData } from "./argument-text.ts";
import { flag } from "./flags.ts";
import { failed, readList, readPairs, refuseTooMany, write } from "./kv-store.ts";
import type { KvPair } from "./kv-store.ts";
import { treeCommands } from "./kv-tree.ts";
import { CommandFailure } from "./refusal.ts";

const casFlags = [
  flag("cas", "bool", "Perform a Check-And-Set operation; needs -modify-index."),
  flag("modify-index", "uint", "The ModifyIndex of the key, for -cas."),
];
const reach = { isClient: true, isServerCall: true, hasTenancy: true };

export const commands: readonly Command[] = [
  ...treeCommands,
  {
    path: "kv delete",
    summary: "Removes data from the KV store",
    usage: "[options] KEY_OR_PREFIX",
    flags: [...casFlags, flag("recurse", "bool", "Recursively delete all keys with the path.")],
    ...reach,
    run: remove,
  },
  {
    path: "kv get",
    summary: "Retrieves or lists data from the KV store",
    usage: "[options] [KEY_OR_PREFIX]",
    flags: [
      flag("base64", "bool", "Base64 encode the value."),
      flag("detailed", "bool", "Provide additional metadata about the key."),
      flag("keys", "bool", "List keys which start with the given prefix, but not their values."),
      flag("recurse", "bool", "Recursively look at all keys prefixed with the given path."),
      flag("separator", "string", "String to use as a separator between keys. Default '/'."),
    ],
    ...reach,
    run: get,
  },
  {
    path: "kv put",
    summary: "Sets or updates data in the KV store",
    usage: "[options] KEY [DATA]",
    help: "DATA is a literal, @FILE for a file's content, or - for standard input.",
    flags: [
      ...casFlags,
      flag("acquire", "bool", "Obtain a lock on the key; needs -session."),
      flag("base64", "bool", "Treat the data as base 64 encoded."),
      flag("flags", "uint", "Unsigned integer value to assign to this key-value pair."),
      flag("release", "bool", "Forfeit the lock on the key; needs -session."),
      flag("session", "string", "User-defined identifer for this session as a string."),
    ],
    ...reach,
    run: put,
  },
];

async function get({ args, flags, api, terminal }: CommandContext): Promise<number> {
  if (args.length > 1) refuseTooMany(args.length, 1);
  const isList = flags.bool("keys") || flags.bool("recurse");
  const key = (args[0] ?? "").replace(/^\//, "");
  if (key === "" && !isList) throw new CommandFailure("Error! Missing KEY argument");
  const agent = api();
  try {
    if (flags.bool("keys")) {
      for (const name of await listKeys(agent, key, flags)) terminal.out(`${name}\n`);
      return 0;
    }
    if (flags.bool("recurse")) {
      showAll(await readPairs(agent, key, { recurse: "" }), flags, terminal);
      return 0;
    }
    const pair = (await readPairs(agent, key, {}))[0];
    if (pair === undefined) throw new CommandFailure(`Error! No key exists at: ${key}`);
    if (flags.bool("detailed")) showDetails(pair, flags, terminal);
    else showValue(pair, flags, terminal);
    return 0;
  } catch (error) {
    throw failed("Error querying Consul agent", error);
  }
}

function listKeys(agent: ApiClient, prefix: string, flags: CommandContext["flags"]) {
  const separator = flags.has("separator") ? flags.string("separator") : "/";
  const query = {
    keys: "",
    separator: flags.bool("recurse") ? "" : separator,
  };
  return readList<string>(agent, prefix, query);
}

function valueOf(pair: KvPair): Buffer {
  return Buffer.from(pair.Value ?? "", "base64");
}

function shown(pair: KvPair, flags: CommandContext["flags"]): string | Buffer {
  return flags.bool("base64") ? pair.Value ?? "" : valueOf(pair);
}

function showValue(pair: KvPair, flags: CommandContext["flags"], terminal: Terminal): void {
  const value = shown(pair, flags);
  terminal.outBytes(Buffer.concat([Buffer.from(value as string), Buffer.from("\n")]));
}

function showAll(pairs: KvPair[], flags: CommandContext["flags"], terminal: Terminal): void {
  pairs.forEach((pair, i) => {
    if (flags.bool("detailed")) {
      if (i > 0) terminal.out("\n");
      showDetails(pair, flags, terminal);
    } else {
      const value = shown(pair, flags);
      terminal.outBytes(
        Buffer.concat([
          Buffer.from(`${pair.Key}:`),
          Buffer.from(value as string),
          Buffer.from("\n"),
        ]),
      );
    }
  });
}

function showDetails(pair: KvPair, flags: CommandContext["flags"], terminal: Terminal): void {
  terminal.out(formatTabs([
    ["CreateIndex", String(pair.CreateIndex)],
    ["Flags", String(pair.Flags)],
    ["Key", pair.Key],
    ["LockIndex", String(pair.LockIndex)],
    ["ModifyIndex", String(pair.ModifyIndex)],
    ["Session", pair.Session || "-"],
    ["Value", String(shown(pair, flags))],
  ]));
}

async function put({ args, flags, api, terminal }: CommandContext): Promise<number> {
  const [key, word] = args;
  if (key === undefined) throw new CommandFailure("Error! Missing KEY argument");
  if (args.length > 2) refuseTooMany(args.length, 2);
  let body: Uint8Array = await readData(word ?? "", terminal, "Error! Failed to read");
  if (flags.bool("base64")) body = decodeBase64(body, terminal);
  const isLocking = flags.bool("acquire") || flags.bool("release");
  const session = flags.string("session");
  if (isLocking && session === "") {
    throw new CommandFailure("Error! Missing -session (required with -acquire and -release)");
  }
  const agent = api();
  if (key.startsWith("/")) {
    throw new CommandFailure(
      `Error! Failed writing data: Invalid key. Key must not begin with a '/': ${key}`,
    );
  }
  const index = flags.int("modify-index");
  const query: Record<string, string> = {
    ...(flags.int("flags") === 0 ? {} : { flags: String(flags.int("flags")) }),
    ...(flags.bool("cas") ? { cas: String(index) } : {}),
    ...(flags.bool("acquire") && !flags.bool("cas") ? { acquire: session } : {}),
    ...(flags.bool("release") && !flags.bool("cas") ? { release: session } : {}),
  };
  const done = await write(agent, "PUT", key, query, body, "Error! Failed writing data");
  if (flags.bool("cas")) {
    if (!done) throw new CommandFailure(casFailure(key, index));
  } else if (isLocking) {
    const [verb, past] = flags.bool("acquire") ? ["acquire", "acquired"] : ["release", "released"];
    if (!done) throw new CommandFailure(`Error! Did not ${verb} lock`);
    terminal.out(`Success! Lock ${past} on: ${key}\n`);
    return 0;
  }
  terminal.out(`Success! Data written to: ${key}\n`);
  return 0;
}

function casFailure(key: string, index: number): string {
  const why = index === 0 ? "CAS performed with index=0 and key already exists." : "CAS failed";
  return `Error! Did not write to ${key}: ${why}`;
}

/** Bad input is reported, and what could be decoded before it is written all the same. */
function decodeBase64(data: Uint8Array, terminal: Terminal): Uint8Array {
  const text = new TextDecoder().decode(data);
  const corruptAt = corruptBase64At(text);
  if (corruptAt === undefined) return Buffer.from(text, "base64");
  terminal.err(
    `Error! Cannot base 64 decode data: illegal base64 data at input byte ${corruptAt}\n`,
  );
  return Buffer.from(text.slice(0, corruptAt - corruptAt % 4), "base64");
}

async function remove({ args, flags, api, terminal }: CommandContext): Promise<number> {
  if (args.length > 1) refuseTooMany(args.length, 1);
  const key = (args[0] ?? "").replace(/^\//, "");
  const isRecursive = flags.bool("recurse");
  if (key === "" && !isRecursive) throw new CommandFailure("Error! Missing KEY argument");
  const isCas = flags.bool("cas");
  const index = flags.int("modify-index");
  if (isCas && index === 0) {
    throw new CommandFailure(
      "Cannot delete a key that does not exist. Provide a -modify-index greater than than 0.",
    );
  }
  if (isRecursive && isCas) {
    throw new CommandFailure("Error! Cannot use -cas or -modify-index with -recurse");
  }
  const query = {
    ...(isRecursive ? { recurse: "" } : {}),
    ...(isCas ? { cas: String(index) } : {}),
  };
  const what = isRecursive ? `prefix ${key}` : `key ${key}`;
  const prefix = `Error! Did not delete ${what}`;
  const done = await write(api(), "DELETE", key, query, undefined, prefix);
  if (isCas && !done) throw new CommandFailure(`${prefix}: CAS failed`);
  terminal.out(
    isRecursive ? `Success! Deleted keys with prefix: ${key}\n` : `Success! Deleted key: ${key}\n`,
  );
  return 0;
}
