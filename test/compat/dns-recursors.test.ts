// The recorded cases with recursors, over real sockets: dnsd's shell in front of a catalog in
// memory, name servers of our own behind it.

import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { Random } from "#shared/random.ts";
import { Responder } from "../../services/dnsd/core/responder.ts";
import { DnsServer } from "../../services/dnsd/io/server.ts";
import cases from "./fixtures/dns/cases.json";
import configs from "./fixtures/dns/configs.json";
import setup from "./fixtures/dns/setup.json";
import {
  recordedCatalog,
  recordedSettings,
  type SetupRequest,
  type Variant,
} from "./dns-catalog.ts";
import { askServer } from "./dns-client.ts";
import { checkCase, type DnsCase } from "./dns-compare.ts";
import { Upstream } from "./dns-upstream.ts";

const variants = configs.variants as unknown as Record<string, Variant>;

for (const name of ["recursor", "recursors_two", "recursor_dead"]) {
  describe(`DNS variant ${name}`, () => {
    const { config, upstreams = [] } = variants[name]!;
    const recorded = recordedCatalog(setup as SetupRequest[], name);
    const servers = upstreams.map(({ zone }) => new Upstream(zone));
    let server: DnsServer;
    let port: number;

    beforeAll(async () => {
      const ports = await Promise.all(servers.map((upstream) => upstream.listen(0)));
      // The one that is dead: a port that was free a moment ago.
      if (ports.length === 0) ports.push(await freePort());
      const dns = (config["dns_config"] ?? {}) as Record<string, string>;
      const random = new Random(7);
      server = new DnsServer({
        responder: new Responder(
          recordedSettings(config),
          recorded.catalogs.get("dc1")!,
          { complete: true, silentMs: 0, knownLeader: true, lastContactMs: 0 },
          random,
        ),
        random,
        recursors: {
          addresses: ports.map((upstream) => `127.0.0.1:${upstream}`),
          strategy: "sequential",
          timeoutMs: parseFloat(dns["recursor_timeout"] ?? "2000ms"),
        },
        fetch: async () => ({ kind: "failed", code: "no-path-to-datacenter" }),
      });
      port = await server.listen("127.0.0.1", 0);
    });

    afterAll(() => {
      server.close();
      for (const upstream of servers) upstream.close();
    });

    for (const one of (cases as unknown as DnsCase[]).filter(({ config }) => config === name)) {
      test(one.name, async () => {
        const problem = await checkCase(one, (query) => askServer("127.0.0.1", port, query));
        expect(problem).toBeUndefined();
      });
    }
  });
}

async function freePort(): Promise<number> {
  const socket = await Bun.udpSocket({ hostname: "127.0.0.1" });
  const { port } = socket;
  socket.close();
  return port;
}
