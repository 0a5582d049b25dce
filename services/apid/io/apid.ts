// Puts apid together: clients of the other daemons, reads, routes, listeners.

import { fullVersion } from "#shared/config/release.ts";
import type { EffectiveConfig } from "#shared/config/types.ts";
import type { BusClient } from "#shared/bus/client.ts";
import { daemonClient, stateClient } from "#shared/bus/state-client.ts";
import type { Daemon, DaemonContext } from "#shared/daemon.ts";
import { listenersOf } from "../config.ts";
import { type ApidMetrics, declareMetrics } from "../metrics.ts";
import { HttpListener, type ListenerCounts } from "./listener.ts";
import { readDefaults, ReadRoutes } from "./read-route.ts";
import { HotReads } from "./reads/hot-reads.ts";
import { Reads } from "./reads/reads.ts";
import { NodeMetrics } from "./routes/agent/metrics.ts";
import { routeTable } from "./routes/table.ts";
import { ApiServer } from "./server.ts";
import { uiFallback } from "./ui.ts";
import { Writes } from "./writes.ts";

/** Bytes of kept reads. */
const keptBytesMax = 64 << 20;
/** A read or write waits for a leader for the RPC hold time, and some for itself. */
const ownTimeMs = 10_000;
const stopGraceMs = 3_000;
const headerBytesMax = 1 << 20;

/** The other daemons of a node, for logs and metrics. */
function otherDaemons(config: EffectiveConfig): string[] {
  const everywhere = ["relayd", "gossipd", "checkd", "dnsd", "cad"];
  const names = config.server ? ["raftd", ...everywhere] : everywhere;
  return names.flatMap((name) => instancesOf(config, name));
}

/** `dnsd`, or `dnsd.1` and `dnsd.2`: as their sockets are called. */
function instancesOf(config: EffectiveConfig, name: string): string[] {
  const count = config.instances[name] ?? 1;
  return count <= 1 ? [name] : Array.from({ length: count }, (_, i) => `${name}.${i + 1}`);
}

export async function startApid(context: DaemonContext): Promise<Daemon> {
  const { config, metrics, log } = context;
  const state = stateClient(context);
  const client = (daemon: string) => daemonClient(context, daemon);
  // Reads have a connection of their own: their confirmations must not wait behind a transfer.
  const reads = new Reads({
    client: stateClient(context),
    bytesMax: keptBytesMax,
    callTimeoutMs: config.raft.rpcHoldTimeoutMs + ownTimeMs,
  });
  const hot = new HotReads(reads, (status) => own.answered(status));
  const { defaultQueryTimeMs: defaultWaitMs, maxQueryTimeMs: maxWaitMs } = config.http;
  const defaults = readDefaults(config);
  const readRoutes = new ReadRoutes({ reads, hot, defaults, defaultWaitMs, maxWaitMs });
  const daemons = new Map(otherDaemons(config).map((name) => [name, client(name)]));
  const nodeMetrics = new NodeMetrics({
    daemons,
    own: () => metrics.snapshot(),
    prefix: config.telemetry.metricsPrefix,
    hostname: config.telemetry.disableHostname ? "" : config.node.name,
    isPrometheusOn: config.telemetry.prometheusRetentionTimeMs > 0,
  });
  const counts: ListenerCounts = {
    connections: 0,
    connectionsRefused: 0,
    requests: 0,
    malformed: 0,
  };
  const own: ApidMetrics = declareMetrics(metrics, counts, reads, hot);
  const routes = routeTable({
    config,
    release: fullVersion,
    readRoutes,
    writes: new Writes(state, config.raft.rpcHoldTimeoutMs + ownTimeMs),
    state,
    checkd: daemons.get("checkd")!,
    gossip: daemons.get("gossipd")!,
    cad: daemons.get("cad")!,
    supervisor: client("agent"),
    daemons: new Map([
      ...daemons,
      ...instancesOf(config, "apid").map((name): [string, BusClient] => [name, client(name)]),
    ]),
    metrics: nodeMetrics,
    lines: () => server.apiLines,
  });
  const server: ApiServer = new ApiServer({
    routes,
    hot,
    responseHeaders: config.http.responseHeaders,
    blockEndpoints: config.http.blockEndpoints,
    allowWriteFrom: config.http.allowWriteHttpFrom,
    defaultPolicy: config.acl.defaultPolicy,
    translatesAddresses: config.translateWanAddrs,
    isDev: config.dev,
    checksPrintable: !config.http.disableUnprintableCharFilter,
    fallback: uiFallback(config.ui),
    onAnswered: (status, seconds) => {
      own.answered(status);
      own.took(seconds);
    },
    onFailed: (error, call) => log.debug({ ...call, err: error }, "request failed"),
  });
  const listeners = listenersOf(config).map((at) =>
    new HttpListener({
      ...at,
      headerBytesMax: Math.max(config.http.maxHeaderBytes, headerBytesMax),
      connectionsPerClientMax: config.http.maxConnsPerClient,
      handle: (exchange) => server.handle(exchange),
      counts,
    })
  );
  reads.start();
  await Promise.resolve();
  for (const listener of listeners) listener.start();
  return {
    ready: () => reads.hub.isOpen ? undefined : "no connection to the state yet",
    details: () => ({
      connections: String(listeners.reduce((sum, listener) => sum + listener.connectionCount, 0)),
      kept_reads: String(reads.cache.size),
      kept_bytes: String(reads.cache.bytes),
      blocked_reads: String(reads.counts.blocked),
    }),
    stop: async () => {
      await Promise.all(listeners.map((listener) => listener.stop(stopGraceMs)));
      nodeMetrics.close();
      reads.close();
      state.close();
    },
  };
}
