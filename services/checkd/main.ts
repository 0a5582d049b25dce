// checkd: what this node declared, its checks, and the catalog kept equal to it.

import { Agent as AgentService } from "#proto/services.ts";
import { daemonClient, stateClient } from "#shared/bus/state-client.ts";
import { runDaemon } from "#shared/daemon.ts";
import { systemClock } from "#shared/machine.ts";
import { agentHandlers } from "./bus.ts";
import { openNode } from "./io/node.ts";

export async function main(argv: readonly string[]): Promise<void> {
  await runDaemon({
    name: "checkd",
    start(context) {
      const { config, bus, log, metrics } = context;
      const state = stateClient(context);
      const gossip = daemonClient(context, "gossipd");
      const node = openNode({ config, state, gossip, log, metrics, clock: systemClock });
      bus.serve(AgentService, agentHandlers(node.agent, node.loop));
      node.start();
      return {
        ready: () => undefined,
        details: () => node.details(),
        reload: (next) => node.reload(next),
        stop() {
          node.stop();
          state.close();
          gossip.close();
        },
      };
    },
  }, argv);
}

if (import.meta.main) await main(process.argv.slice(2));
