// gossipd: who is alive.

import { Gossip } from "#proto/services.ts";
import { daemonClient, stateClient } from "#shared/bus/state-client.ts";
import { type Daemon, type DaemonContext, runDaemon } from "#shared/daemon.ts";
import { gossipHandlers } from "./bus.ts";
import { CheckerWatch } from "./io/checker-watch.ts";
import { CoordinateSender } from "./io/coordinate-sender.ts";
import { Pools } from "./io/pools.ts";
import { UserEvents } from "./io/user-events.ts";
import { declareMetrics } from "./metrics.ts";

export async function start(context: DaemonContext): Promise<Daemon> {
  const { config, log, metrics, bus } = context;
  const { name: nodeName, datacenter } = config.node;
  const pools = await Pools.open({ config, log, fail: (error) => context.fail(error) });
  declareMetrics(metrics, pools);
  const checkd = daemonClient(context, "checkd");
  const state = stateClient(context);
  const checker = new CheckerWatch(
    config.checkdAbsenceTimeoutMs,
    (isAbsent) => pools.markChecker(isAbsent),
  );
  const events = new UserEvents(pools.lan, checkd, nodeName, log);
  const coordinates = config.disableCoordinates
    ? undefined
    : new CoordinateSender(state, pools.lan, nodeName, log);
  bus.serve(Gossip, gossipHandlers({ pools, events, checker, datacenter, nodeName }));
  return {
    ready: () => undefined,
    details: () => describe(pools, checker),
    async stop() {
      coordinates?.stop();
      checker.stop();
      await pools.stop();
      checkd.close();
      state.close();
    },
  };
}

function describe(pools: Pools, checker: CheckerWatch): Record<string, string> {
  const details: Record<string, string> = {};
  for (const name of ["lan", "wan"] as const) {
    const loop = pools[name]?.loop;
    if (!loop) continue;
    const members = loop.machine.members();
    const alive = members.filter((member) => member.status === "alive").length;
    details[`${name}_members`] = `${alive} of ${members.length} alive`;
    details[`${name}_health_score`] = String(loop.machine.healthScore);
    details[`${name}_encrypted`] = String(loop.isEncrypted);
  }
  details["joining"] = String(pools.isJoining);
  details["checkd"] = checker.isConnected ? "connected" : "away";
  return details;
}

export function main(argv: readonly string[]): Promise<void> {
  return runDaemon({ name: "gossipd", start }, argv);
}

if (import.meta.main) await main(process.argv.slice(2));
