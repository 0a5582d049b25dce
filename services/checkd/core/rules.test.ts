import { describe, expect, test } from "bun:test";
import type { CheckDefinition } from "#shared/config/definitions.ts";
import { checkFault, intervalOf, kindOf, outputSizeOf, timeoutOf, typeOf } from "./check-rules.ts";
import { emptyCheck, emptyService, type ServiceRow } from "./model.ts";
import { ipFamily, refuseInvalidService, withDefaults } from "./service-rules.ts";
import { cutNote } from "./ttl.ts";

const check = (change: Partial<CheckDefinition>) => ({ ...emptyCheck(), ...change });
const service = (change: Partial<ServiceRow>) => ({ ...emptyService(), service: "x", ...change });

describe("checks", () => {
  test("faults in Consul's words", () => {
    const faults: [Partial<CheckDefinition>, string | undefined][] = [
      [{}, "TTL must be > 0 for TTL checks"],
      [{ intervalMs: 1 }, "TTL must be > 0 for TTL checks"],
      [{ ttlMs: 1, intervalMs: 1, tcp: "a:1" }, "Interval and TTL cannot both be specified"],
      [
        { http: "http://a" },
        "Interval must be > 0 for Script, HTTP, H2PING, TCP, UDP or OSService checks",
      ],
      [{ aliasService: "a", intervalMs: 1 }, undefined],
      [
        { aliasService: "a", intervalMs: 1, tcp: "a:1" },
        "Interval cannot be set for Alias checks",
      ],
      [{ aliasNode: "a", ttlMs: 1 }, "TTL must be not be set for Alias checks"],
      [{ ttlMs: 1, outputMaxSize: -1 }, "MaxOutputMaxSize must be positive"],
      [
        { tcp: "a:1", intervalMs: 1, failuresBeforeWarning: 5, failuresBeforeCritical: 2 },
        "FailuresBeforeWarning can't be higher than FailuresBeforeCritical",
      ],
      [{ tcp: "a:1", intervalMs: 1 }, undefined],
    ];
    for (const [change, fault] of faults) expect(checkFault(check(change))).toBe(fault!);
  });

  test("what runs and what is shown follow different orders", () => {
    const several = check({ grpc: "a:1", http: "http://a", tcp: "a:1", intervalMs: 10 });
    expect([kindOf(several), typeOf(several)]).toEqual(["http", "grpc"]);
    const docker = check({ dockerContainerId: "c", args: ["x"], intervalMs: 10 });
    expect([kindOf(docker), timeoutOf(docker)]).toEqual(["docker", 0]);
    expect([intervalOf(docker), timeoutOf(several)]).toEqual([1000, 10_000]);
    expect(outputSizeOf(check({ outputMaxSize: 9000 }), 4096)).toBe(4096);
    expect(outputSizeOf(check({ outputMaxSize: 10 }), 4096)).toBe(10);
  });

  test("a long note is cut by bytes and says so", () => {
    expect(cutNote("0123456789", 4)).toBe("0123 ... (captured 4 of 10 bytes)");
    expect(cutNote("0123", 4)).toBe("0123");
  });
});

describe("services", () => {
  test("faults in Consul's words", () => {
    const faults: [Partial<ServiceRow>, string, string][] = [
      [{ service: "" }, "invalid-argument", "Missing service name"],
      [{ address: "0.0.0.0" }, "invalid-argument", "Invalid service address"],
      [
        { meta: { "consul-a": "1" } },
        "invalid-argument",
        "Invalid Service Meta: Couldn't load metadata pair ('consul-a', '1'): " +
        "Key prefix 'consul-' is reserved for internal use",
      ],
      [
        { weights: { passing: 0, warning: 0 } },
        "invalid-argument",
        "Invalid Weights: Passing must be greater than 0",
      ],
      [
        { weights: { passing: 70000, warning: 1 } },
        "invalid-argument",
        "Invalid Weights: DNS Weight must be between 0 and 65535",
      ],
      [
        { kind: "connect-proxy", port: 1 },
        "invalid-argument",
        "Validation failed: 1 error occurred:\n\t* Proxy.DestinationServiceName must be " +
        "non-empty for Connect proxy services\n\n",
      ],
      [
        { taggedAddresses: { lan_ipv4: { address: "::1", port: 1 } } },
        "internal",
        'Service tagged address "lan_ipv4" must be a valid ipv4 address',
      ],
    ];
    for (const [change, code, message] of faults) {
      const refused = () => refuseInvalidService(service(change));
      expect(refused).toThrow(expect.objectContaining({ code, message }));
    }
    const proxy = { DestinationServiceName: "web", Upstreams: [{ DestinationName: "a" }] };
    const good = { kind: "connect-proxy", port: 1, proxyJson: JSON.stringify(proxy) };
    expect(() => refuseInvalidService(service(good))).not.toThrow();
  });

  test("a literal address fills the tagged addresses that are missing", () => {
    const given = { lan_ipv4: { address: "1.2.3.4", port: 9 } };
    const filled = withDefaults(service({ address: "10.5.0.1", port: 8, taggedAddresses: given }));
    expect(filled.taggedAddresses).toEqual({
      lan_ipv4: { address: "1.2.3.4", port: 9 },
      wan_ipv4: { address: "10.5.0.1", port: 8 },
    });
    expect(withDefaults(service({ address: "web.local" })).taggedAddresses).toEqual({});
    expect(withDefaults(service({ connectJson: '{"Foo":1}' })).connectJson).toBe("");
  });

  test("IP literals", () => {
    expect(["1.2.3.4", "::1", "fe80::1:2", "::ffff:1.2.3.4"].map(ipFamily)).toEqual([4, 6, 6, 6]);
    for (const text of ["1.2.3", "01.2.3.4", "256.1.1.1", "a:b", "1::2::3", "web", ""]) {
      expect(ipFamily(text)).toBeUndefined();
    }
  });
});
