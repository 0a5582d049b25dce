// Commands that need no agent: validate, version, keygen.

import { randomBytes } from "node:crypto";
import { parseAgentFlags } from "#shared/config/agent-flags.ts";
import { loadFiles, readHost } from "#shared/config/load.ts";
import { buildDate, consulVersion, fullVersion, release } from "#shared/config/release.ts";
import { flag } from "./flags.ts";
import { CommandFailure } from "./refusal.ts";
import type { Command, CommandContext } from "./command.ts";

const gossipKeyBytes = 32;
const protocolNote =
  "Protocol 2 spoken by default, understands 2 to 3 (agent will automatically use protocol >2 " +
  "when speaking to compatible agents)";

export const commands: readonly Command[] = [
  {
    path: "validate",
    summary: "Validate config files/directories",
    usage: "[options] FILE_OR_DIRECTORY...",
    help: "Performs a thorough sanity test on configuration files: parses them, merges them in\n" +
      "order and checks the result, as the agent would before it starts.",
    flags: [
      flag(
        "config-format",
        "string",
        "Config files are in this format irrespective of their extension. Must be 'hcl' or " +
          "'json'",
      ),
      flag("quiet", "bool", "When given, a successful run will produce no output."),
      flag("unserved", "bool", "Also name the keys that Curia accepts without acting on them."),
    ],
    run: validate,
  },
  {
    path: "version",
    summary: "Prints the version",
    usage: "[options]",
    flags: [flag("format", "string", "Output format {pretty|json}")],
    run: version,
  },
  {
    path: "keygen",
    summary: "Generates a new encryption key",
    usage: "",
    help: "Generates a new encryption key that can be used to configure the agent to encrypt\n" +
      "traffic. The output of this command is already in the proper format that the agent\n" +
      "expects.",
    run({ terminal }) {
      terminal.out(`${randomBytes(gossipKeyBytes).toString("base64")}\n`);
      return 0;
    },
  },
];

function validate({ args, flags, terminal }: CommandContext): number {
  if (args.length === 0) {
    throw new CommandFailure("Must specify at least one config file or directory");
  }
  const format = flags.string("config-format");
  const agentFlags = parseAgentFlags([
    ...(format === "" ? [] : ["-config-format", format]),
    ...args.flatMap((path) => ["-config-file", path]),
  ]);
  const { errors, warnings, notServed } = loadFiles(agentFlags, readHost(false));
  if (errors.length > 0) {
    throw new CommandFailure(`Config validation failed: ${errors.join("\n")}`);
  }
  for (const warning of warnings) terminal.err(`${warning}\n`);
  if (flags.bool("unserved")) {
    for (const key of notServed) terminal.err(`"${key}" is accepted but not yet served\n`);
  }
  if (!flags.bool("quiet")) terminal.out("Configuration is valid!\n");
  return 0;
}

function version({ flags, terminal }: CommandContext): number {
  const format = flags.string("format", "pretty");
  switch (format) {
    case "pretty":
      terminal.out(`Consul v${fullVersion}\nBuild Date ${buildDate}\n${protocolNote}\n\n`);
      return 0;
    case "json":
      terminal.out(`${
        JSON.stringify(
          {
            Version: consulVersion,
            Revision: release,
            Prerelease: "",
            BuildDate: buildDate,
            RPC: { Default: 2, Min: 2, Max: 3 },
          },
          null,
          3,
        )
      }\n`);
      return 0;
    default:
      throw new CommandFailure(`Unknown format: ${format}`);
  }
}
