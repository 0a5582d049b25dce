// dnsd's responder and sockets over a catalog in memory: 10 healthy instances of `web`, each on a
// node of its own, among other services. Prints the port once it listens.

import { Random } from "#shared/random.ts";
import { Catalog } from "../services/dnsd/core/catalog.ts";
import { Responder } from "../services/dnsd/core/responder.ts";
import { defaultDnsSettings } from "../services/dnsd/core/settings.ts";
import { DnsServer } from "../services/dnsd/io/server.ts";

const services = Number(process.argv[2] ?? 100);
const none = new Uint8Array(0);
const catalog = new Catalog();

function addInstance(node: string, address: string, service: string): void {
  const place = { datacenter: "dc1", peerName: "" };
  catalog.setNode({ node, address, ...place, taggedAddresses: {}, meta: {} });
  catalog.setService({
    ...{ node, id: service, service, kind: "", tags: [], address: "", port: 8080, peerName: "" },
    ...{ taggedAddresses: {}, meta: {}, weights: null, proxyJson: none, connectJson: none },
  });
  for (const [checkId, serviceId] of [["serfHealth", ""], [`service:${service}`, service]]) {
    catalog.setCheck({
      ...{ node, checkId: checkId!, serviceId: serviceId!, status: "passing", peerName: "" },
    });
  }
}

for (let i = 1; i <= 10; i++) addInstance(`node-${i}`, `10.0.0.${i}`, "web");
for (let i = 0; i < services; i++) {
  addInstance(`other-${i}`, `10.1.${i >> 8}.${i & 255}`, `service-${i}`);
}
const random = new Random(1);
const contact = { complete: true, silentMs: 0, knownLeader: true, lastContactMs: 0 };
const server = new DnsServer({
  responder: new Responder(defaultDnsSettings, catalog, contact, random),
  random,
  recursors: { addresses: [], strategy: "sequential", timeoutMs: 2000 },
  fetch: async () => ({ kind: "failed", code: "no-path-to-datacenter" }),
});
console.log(await server.listen("127.0.0.1", 0));
