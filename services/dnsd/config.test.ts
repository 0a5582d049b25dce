import { expect, test } from "bun:test";
import { compareConfigs, type DnsdConfig, dnsSettings, dnsToken } from "./config.ts";

const tokens = { dns: "", default: "" };
const config = {
  node: { name: "n", datacenter: "dc1" },
  addresses: { dns: ["127.0.0.1"] },
  ports: { dns: 8600 },
  translateWanAddrs: false,
  acl: { tokens },
  dns: {
    ...{ domain: "consul.", altDomain: "", recursors: ["192.0.2.1:53"], nodeTtlMs: 1999 },
    ...{
      serviceTtlMs: { web: 1500, "*": 900 },
      soa: { refresh: 1, retry: 2, expire: 3, minTtl: 4 },
    },
  },
} as unknown as DnsdConfig;

test("TTLs are whole seconds, fractions cut", () => {
  const settings = dnsSettings(config);
  expect(settings.nodeTtlSeconds).toBe(1);
  expect([...settings.serviceTtlSeconds]).toEqual([["web", 1], ["*", 0]]);
  expect(settings.hasRecursors).toBe(true);
});

test("a reload tells what it took over and what waits for a restart", () => {
  const dns = { ...config.dns, recursors: [], onlyPassing: true, domain: "other." };
  const after = { ...config, dns, ports: { ...config.ports, dns: 53 } };
  expect(compareConfigs(config, after)).toEqual({
    changed: ["recursors", "dns_config.only_passing"],
    needsRestart: ["domain", "ports.dns"],
  });
  expect(compareConfigs(config, config)).toEqual({ changed: [], needsRestart: [] });
});

test("the DNS token wins over the default one", () => {
  const withTokens = (dns: string) =>
    ({ acl: { tokens: { dns, default: "d" } } }) as unknown as DnsdConfig;
  expect([dnsToken(withTokens("")), dnsToken(withTokens("x"))]).toEqual(["d", "x"]);
});
