// How this executable starts itself again as one daemon: from a checkout through Bun and the
// entry file, compiled as the one file that it is.

import type { ChildCommand } from "./child.ts";

/** Bun mounts the files of a compiled executable below this directory. */
const isCompiled = import.meta.path.startsWith("/$bunfs/");

export function daemonCommand(daemon: string, args: readonly string[]): ChildCommand {
  const entry = isCompiled ? [] : [Bun.main];
  return { file: process.execPath, args: [...entry, daemon, ...args] };
}
