// raftd: consensus and the replicated state.

import { type Daemon, type DaemonContext, runDaemon } from "#shared/daemon.ts";
import { serveRaftd } from "./bus.ts";
import { Node } from "./io/node.ts";

/** `stepsModule` is for tests: see io/steps.ts. */
export async function start(context: DaemonContext, stepsModule?: string): Promise<Daemon> {
  const node = await Node.open(context, stepsModule);
  for (const server of [context.bus, node.stateServer, node.remoteServer]) {
    serveRaftd(server, node);
    server.route = (method, call) => node.routes.route(method, call);
  }
  await node.listen();
  return {
    ready: () => node.notReady(),
    details: () => node.details(),
    stop: () => node.stop(),
  };
}

export function main(argv: readonly string[]): Promise<void> {
  return runDaemon({ name: "raftd", start: (context) => start(context) }, argv);
}

if (import.meta.main) await main(process.argv.slice(2));
