// `agent`: reads the configuration, runs the node's daemons under supervision, obeys signals.

import { agentFlagSpecs, parseAgentFlags } from "#shared/config/agent-flags.ts";
import { isLogLevel } from "#shared/config/build/node.ts";
import { loadAgentConfig } from "#shared/config/load.ts";
import { ConfigRefusal } from "#shared/config/source.ts";
import { CommandFailure } from "../refusal.ts";
import type { Command, CommandContext } from "../command.ts";
import { Node } from "./node.ts";

export const commands: readonly Command[] = [
  {
    path: "agent",
    summary: "Runs a node: all of its daemons",
    usage: "[options]",
    help: "Starts the node's daemons and keeps them running until an interrupt is received.",
    flags: agentFlagSpecs,
    isRaw: true,
    run,
  },
];

async function run({ args, terminal }: CommandContext): Promise<number> {
  try {
    const flags = parseAgentFlags(args);
    if (flags.rest.length > 0) {
      throw new CommandFailure(`==> Unexpected extra arguments: [${flags.rest.join(" ")}]`);
    }
    const start = loadAgentConfig(flags);
    const level = flags.scalars.get("log_level");
    if (typeof level === "string" && !isLogLevel(level)) {
      throw new CommandFailure(
        `==> Invalid log level: ${level.toUpperCase()}. Valid log levels are: ` +
          "[TRACE DEBUG INFO WARN ERROR]",
      );
    }
    return await new Node(start, flags, terminal).run();
  } catch (error) {
    if (error instanceof ConfigRefusal) throw new CommandFailure(`==> ${error.message}`);
    throw error;
  }
}
