// apid: the HTTP API.

import { runDaemon } from "#shared/daemon.ts";
import { startApid } from "./io/apid.ts";

export function main(argv: readonly string[]): Promise<void> {
  return runDaemon({ name: "apid", start: startApid }, argv);
}

if (import.meta.main) await main(process.argv.slice(2));
