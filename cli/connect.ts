// `connect`: the mesh's certificate authority.

import { readFileSync } from "node:fs";
import { goOpenError } from "./go-errors.ts";
import type { Command, CommandContext } from "./command.ts";
import { flag } from "./flags.ts";
import { ask, CommandFailure, refuseArguments } from "./refusal.ts";

const reach = { isClient: true, isServerCall: true };

export const commands: readonly Command[] = [
  {
    path: "connect ca get-config",
    summary: "Display the current Connect Certificate Authority (CA) configuration",
    usage: "[options]",
    ...reach,
    run: getConfig,
  },
  {
    path: "connect ca set-config",
    summary: "Modify the current Connect CA configuration",
    usage: "[options]",
    flags: [
      flag("config-file", "string", "The path to the config file to use."),
      flag(
        "force-without-cross-signing",
        "bool",
        "Go on although the new root is not cross-signed.",
      ),
    ],
    ...reach,
    run: setConfig,
  },
];

async function getConfig({ args, api, terminal }: CommandContext): Promise<number> {
  refuseArguments(args);
  const config = await ask(
    "Error querying CA configuration",
    api().json<Record<string, unknown>>("GET", "/v1/connect/ca/configuration"),
  );
  const { Provider, Config, State, ForceWithoutCrossSigning, CreateIndex, ModifyIndex } = config;
  const shown = {
    Provider,
    Config: Object.fromEntries(
      Object.entries(Config ?? {}).sort(([a], [b]) => a < b ? -1 : 1),
    ),
    State: State ?? null,
    ForceWithoutCrossSigning: ForceWithoutCrossSigning ?? false,
    CreateIndex,
    ModifyIndex,
  };
  terminal.out(`${JSON.stringify(shown, null, "\t")}\n`);
  return 0;
}

async function setConfig({ flags, api, terminal }: CommandContext): Promise<number> {
  const path = flags.string("config-file");
  if (path === "") throw new CommandFailure("The -config-file flag is required");
  let text: string;
  try {
    text = readFileSync(path, "utf8");
  } catch (error) {
    throw new CommandFailure(`Error reading config file: ${goOpenError(path, error)}`);
  }
  let config: Record<string, unknown>;
  try {
    config = JSON.parse(text) as Record<string, unknown>;
  } catch (error) {
    throw new CommandFailure(`Error parsing config file: ${(error as Error).message}`);
  }
  const isForced = flags.bool("force-without-cross-signing");
  await ask(
    "Error setting CA configuration",
    api().call("PUT", "/v1/connect/ca/configuration", {
      body: { ...config, ...(isForced ? { ForceWithoutCrossSigning: true } : {}) },
    }),
  );
  terminal.out("Configuration updated!\n");
  return 0;
}
