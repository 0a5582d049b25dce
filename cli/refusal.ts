// How a command gives up: its text for stderr and its exit status.

import { CuriaError } from "#shared/errors.ts";
import { ApiError } from "./api.ts";
import type { CommandContext } from "./command.ts";
import { commandHelp } from "./help.ts";

/** Ends a command: the text goes to stderr with a line end, the status to the shell. */
export class CommandFailure extends Error {
  override name = "CommandFailure";
  readonly status: number;

  constructor(message: string, status = 1) {
    super(message);
    this.status = status;
  }
}

/** A refusal that shows the command's help after the reason. */
export function refuseWithHelp(context: CommandContext, reason: string): never {
  const help = commandHelp(context.program, context.command).trimEnd();
  throw new CommandFailure(`${reason}\n\n${help}`);
}

/** An answer of the agent, or its refusal behind the command's own words. */
export async function ask<Value>(prefix: string, reply: Promise<Value>): Promise<Value> {
  try {
    return await reply;
  } catch (error) {
    if (!(error instanceof ApiError) && !(error instanceof CuriaError)) throw error;
    throw new CommandFailure(`${prefix}: ${error.message}`);
  }
}

export function refuseArguments(args: readonly string[], expected = 0): void {
  if (args.length <= expected) return;
  throw new CommandFailure(`Too many arguments (expected ${expected}, got ${args.length})`);
}
