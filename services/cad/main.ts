// cad: certificates of the mesh. The leader's cad keeps the root and signs; every node's cad keeps
// the leaves of its services.

import { Certificates } from "#proto/services.ts";
import { stateClient } from "#shared/bus/state-client.ts";
import { type Daemon, type DaemonContext, runDaemon } from "#shared/daemon.ts";
import { systemClock } from "#shared/machine.ts";
import { Random } from "#shared/random.ts";
import { StateView } from "#shared/view.ts";
import { certificateHandlers, signAtLeader } from "./bus.ts";
import { Authority } from "./io/authority.ts";
import { Documents } from "./io/documents.ts";
import { Leadership } from "./io/leadership.ts";
import { Leaves } from "./io/leaves.ts";
import { RootsFeed, rootTopics } from "./io/roots-feed.ts";
import { X509Link } from "./io/x509-link.ts";
import { declareGauges, declareMetrics } from "./metrics.ts";

export function start(context: DaemonContext): Daemon {
  const { config, bus, log, metrics } = context;
  const { datacenter } = config.node;
  const clock = systemClock;
  const state = stateClient(context);
  const view = new StateView({ client: state, topics: rootTopics, log });
  const roots = new RootsFeed(view);
  const random = new Random(crypto.getRandomValues(new Uint32Array(1))[0]!);
  const sign = (csrPem: string) => signAtLeader(state, csrPem);
  const link = new X509Link();
  const x509 = link.functions;
  const leaves = new Leaves({ sign, x509, roots, datacenter, clock, random, log });
  declareGauges(metrics, leaves, roots);
  const authority = config.server
    ? new Authority({
      documents: new Documents(state),
      datacenter,
      connect: config.connect,
      x509,
      clock,
      log,
    })
    : undefined;
  const leadership = authority && config.connect.enabled
    ? new Leadership(state, authority, () => roots.isReady, log)
    : undefined;
  roots.onChange(() => {
    authority?.forget();
    leadership?.recheck();
  });
  const counts = declareMetrics(metrics);
  bus.serve(
    Certificates,
    certificateHandlers({ authority, roots, leaves, state, metrics: counts }),
  );
  view.start();
  leadership?.start();
  return {
    ready: () => undefined,
    details: () => ({
      roots: String(roots.roots.length),
      leaves: String(leaves.count),
      role: leadership?.isLeader ? "signs for the datacenter" : "asks the leader",
    }),
    stop() {
      leadership?.stop();
      leaves.stop();
      link.stop();
      view.stop();
      state.close();
    },
  };
}

export function main(argv: readonly string[]): Promise<void> {
  return runDaemon({ name: "cad", start }, argv);
}

if (import.meta.main) await main(process.argv.slice(2));
