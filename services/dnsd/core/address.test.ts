import { expect, test } from "bun:test";
import { nodeAddress, serviceAddress, servicePort } from "./address.ts";
import { typeCodes } from "./records/records.ts";
import { defaultDnsSettings } from "./settings.ts";
import { nodeRow, serviceRow } from "./test-rows.ts";

const settings = { ...defaultDnsSettings, translateWanAddrs: true };
const tagged = { lan_ipv6: "2001:db8::1", wan: "198.51.100.1", wan_ipv6: "2001:db8:ffff::1" };

test("a node of our own shows its LAN addresses, by family", () => {
  for (const datacenter of ["dc1", ""]) {
    const node = nodeRow("n", "10.0.0.1", { datacenter, taggedAddresses: tagged });
    expect(nodeAddress(node, typeCodes.A, settings)).toBe("10.0.0.1");
    expect(nodeAddress(node, typeCodes.AAAA, settings)).toBe("2001:db8::1");
    expect(nodeAddress(node, typeCodes.SRV, settings)).toBe("2001:db8::1");
  }
});

test("a node of another datacenter or of a peer shows its WAN addresses, when asked to", () => {
  const places = [{ datacenter: "dc2" }, { datacenter: "", peerName: "east" }];
  for (const place of places) {
    const node = nodeRow("n", "10.0.0.1", { ...place, taggedAddresses: tagged });
    expect(nodeAddress(node, typeCodes.A, settings)).toBe("198.51.100.1");
    expect(nodeAddress(node, typeCodes.ANY, settings)).toBe("2001:db8:ffff::1");
    expect(nodeAddress(node, typeCodes.A, defaultDnsSettings)).toBe("10.0.0.1");
  }
});

test("an instance's WAN port goes with its WAN address, unless it is 0", () => {
  const wan = (port: number) =>
    serviceRow("n", "web", { taggedAddresses: { wan: { address: "198.18.0.1", port } } });
  expect(serviceAddress(wan(443), typeCodes.A, "dc2", settings)).toBe("198.18.0.1");
  expect(servicePort(wan(443), "dc2", settings)).toBe(443);
  expect(servicePort(wan(0), "dc2", settings)).toBe(80);
  expect(servicePort(wan(443), "dc1", settings)).toBe(80);
  expect(serviceAddress(wan(443), typeCodes.A, "dc1", settings)).toBe("");
});
