// Talks to the Control services of this node's daemons over their sockets in the run directory.

import { existsSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { Control } from "#proto/services.ts";
import { BusClient } from "#shared/bus/client.ts";
import type { Client } from "#shared/bus/types.ts";
import { daemonNames } from "#shared/config/key.ts";
import { release } from "#shared/config/release.ts";
import type { CommandContext } from "./command.ts";
import { flag } from "./flags.ts";
import { CommandFailure } from "./refusal.ts";

export const runDirFlag = flag(
  "run-dir",
  "string",
  "Directory of the daemons' sockets; else CURIA_RUN_DIR, else the one that the agent of " +
    "-http-addr reports.",
);

/** The flag, the environment, or what the running agent says of itself. */
export async function findRunDir({ flags, env, api }: CommandContext): Promise<string> {
  const given = flags.string("run-dir") || env["CURIA_RUN_DIR"] || "";
  if (given !== "") return given;
  try {
    const self = await api().json<{ DebugConfig?: { RunDir?: string } }>("GET", "/v1/agent/self");
    if (self.DebugConfig?.RunDir) return self.DebugConfig.RunDir;
  } catch {
    // The daemons may well be asked because apid does not answer.
  }
  throw new CommandFailure(
    "Expected the run directory of a node: give -run-dir or CURIA_RUN_DIR (the agent prints it " +
      "when it starts)",
  );
}

/** Names without `.sock`: `raftd`, `dnsd.2`. */
export function socketNames(runDir: string): string[] {
  if (!existsSync(runDir)) throw new CommandFailure(`There is no run directory ${runDir}`);
  const order = ["agent", ...daemonNames];
  const place = (name: string) => order.indexOf(name.split(".")[0]!);
  return readdirSync(runDir)
    .filter((name) => /^[a-z]+(\.\d+)?\.sock$/.test(name) && place(name) >= 0)
    .map((name) => name.slice(0, -".sock".length))
    .sort((a, b) => place(a) - place(b) || (a < b ? -1 : 1));
}

export interface DaemonLink {
  control: Client<typeof Control>;
  close(): void;
}

export function connectDaemon(runDir: string, name: string): DaemonLink {
  const path = join(runDir, `${name}.sock`);
  if (!existsSync(path)) {
    throw new CommandFailure(
      `${name} has no socket in ${runDir}: it does not run, or not on this node`,
    );
  }
  const client = new BusClient({
    addresses: [{ path }],
    daemon: name,
    identity: { daemon: "curia", release, nodeId: "", node: "", datacenter: "" },
  });
  return { control: client.of(Control), close: () => client.close() };
}
