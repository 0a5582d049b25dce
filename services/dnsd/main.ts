// dnsd: answers DNS questions from a copy of the catalog that the state keeps current.

import { runDaemon } from "#shared/daemon.ts";
import { openDnsd } from "./io/open.ts";

export { openDnsd as start };

export function main(argv: readonly string[]): Promise<void> {
  return runDaemon({ name: "dnsd", start: openDnsd }, argv);
}

if (import.meta.main) await main(process.argv.slice(2));
