#!/usr/bin/env bun
// The one executable: a daemon, the supervisor of a node's daemons, or a client command.

import { basename } from "node:path";
import { daemons } from "./daemons.ts";

const [first, ...rest] = process.argv.slice(2);
const daemon = daemons.find(({ name }) => name === first);
if (daemon !== undefined) {
  endWithAgent();
  // From here on the process looks as if the daemon's own file had been started.
  process.argv.splice(2, 1);
  const { main } = await daemon.load();
  await main?.(rest);
} else {
  const [{ dispatch }, { processTerminal, finish }] = await Promise.all([
    import("./dispatch.ts"),
    import("./terminal.ts"),
  ]);
  const status = await dispatch({
    program: programName(),
    args: process.argv.slice(2),
    env: process.env,
    terminal: processTerminal,
  });
  await finish(status);
}

/** `consul` when called by that name (a link, or scripts/curia linked under it), else `curia`. */
function programName(): string {
  const name = basename(process.env["CURIA_PROGRAM"] ?? process.argv0);
  return name === "consul" ? "consul" : "curia";
}

/** A supervised daemon must not outlive its agent: the agent's end closes this pipe. */
function endWithAgent(): void {
  if (process.env["CURIA_SUPERVISED"] === undefined) return;
  process.stdin.on("end", () => process.exit(1));
  process.stdin.on("error", () => process.exit(1));
  process.stdin.resume();
}
