// Puts the daemon together: view, catalog, responder, sockets.

import { stateClient } from "#shared/bus/state-client.ts";
import type { EffectiveConfig } from "#shared/config/types.ts";
import type { Daemon, DaemonContext } from "#shared/daemon.ts";
import { Random } from "#shared/random.ts";
import { StateView } from "#shared/view.ts";
import { compareConfigs, dnsSettings, dnsToken, recursorSettings } from "../config.ts";
import { Catalog } from "../core/catalog.ts";
import { Responder } from "../core/responder.ts";
import { DnsCounts } from "./counts.ts";
import { CatalogFeed, viewTopics } from "./feed.ts";
import { RemoteRows } from "./remote.ts";
import { DnsServer } from "./server.ts";
import { declareMetrics, observe } from "../metrics.ts";

/** So long the first view may keep the port closed. */
const viewWaitMs = 3_000;

const noContact = { complete: false, silentMs: 0, knownLeader: false, lastContactMs: 0 };

export async function openDnsd(context: DaemonContext): Promise<Daemon> {
  const { log, metrics } = context;
  let config: EffectiveConfig = context.config;
  const token = dnsToken(config);
  const client = stateClient(context);
  const view = new StateView({ client, topics: viewTopics, token, log });
  const random = new Random(crypto.getRandomValues(new Uint32Array(1))[0]!);
  const responder = new Responder(dnsSettings(config), new Catalog(), noContact, random);
  const feed = new CatalogFeed(view, responder);
  const remote = new RemoteRows(client, token);
  const counts = new DnsCounts();
  const { domainSeconds, reverseSeconds } = declareMetrics(metrics, counts);
  const server = new DnsServer({
    responder,
    random,
    counts,
    recursors: recursorSettings(config),
    fetch: (need) => remote.fetch(need),
    observe: (seconds, isReverse) => (isReverse ? reverseSeconds : domainSeconds).observe(seconds),
    onError: (error) => log.error({ err: error }, "a question could not be answered"),
  });
  observe(metrics, {
    cached: () => responder.cachedCount,
    waiting: () => server.waiting,
    tcpConnections: () => server.tcpConnectionCount,
    viewSilentSeconds: () => view.ages().disconnectedMs / 1000,
    nodes: () => feed.counts.nodes,
    services: () => feed.counts.services,
  });
  view.start();
  await wholeView(view);
  const { dns: port } = config.ports;
  for (const host of port < 0 ? [] : config.addresses.dns) await server.listen(host, port);
  return {
    ready: () => view.isComplete ? undefined : "waiting for the first whole view of the catalog",
    details: () => ({
      listens: port < 0 ? "off" : config.addresses.dns.map((host) => `${host}:${port}`).join(" "),
      nodes: String(feed.counts.nodes),
      services: String(feed.counts.services),
      index: String(view.index),
      answers: String(counts.udpQueries + counts.tcpQueries),
    }),
    reload: (after) => {
      const reloaded = compareConfigs(config, after);
      config = { ...after, addresses: config.addresses, ports: config.ports };
      responder.settings = { ...dnsSettings(after), ...fixedSettings(responder) };
      server.recursors = recursorSettings(after);
      return reloaded;
    },
    stop: () => {
      server.close();
      feed.stop();
      view.stop();
      client.close();
    },
  };
}

/** With whom the port is shared can answer until this view is whole; without any view there is
 *  still a reply to give, if only SERVFAIL. */
async function wholeView(view: StateView): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>();
  const timer = setTimeout(resolve, viewWaitMs);
  view.onComplete(resolve);
  await promise;
  clearTimeout(timer);
}

/** What stays as it was until a restart. */
function fixedSettings({ settings }: Responder) {
  const { domain, altDomain, translateWanAddrs } = settings;
  return { domain, altDomain, translateWanAddrs };
}
