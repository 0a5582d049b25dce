import { expect, test } from "bun:test";
import { configuredDomain, parseConsulName, responseDomain } from "./name.ts";
import { typeCodes } from "./records/records.ts";
import { defaultDnsSettings, serviceTtlSeconds } from "./settings.ts";

const local = { datacenter: "dc1", peer: "" };
const parse = (name: string, type: number = typeCodes.A, altDomain = "") =>
  parseConsulName(name, type, { ...defaultDnsSettings, altDomain });

test("the kind is the first keyword from the right", () => {
  expect(parse("foo.bar.node.consul.")).toEqual({ kind: "node", node: "foo.bar", place: local });
  expect(parse("v1.primary.Web.service.consul."))
    .toEqual({ kind: "service", service: "web", tag: "v1.primary", place: local });
  expect(parse("a.b.connect.consul.")).toEqual({ kind: "connect", service: "b", place: local });
  expect(parse("node.service.consul."))
    .toEqual({ kind: "service", service: "node", tag: "", place: local });
  for (const name of ["consul.", "node.consul.", "service.consul.", "what.ever.consul."]) {
    expect(parse(name)).toEqual({ kind: "invalid" });
  }
});

test("an underscore is a service for SRV only", () => {
  const web = { kind: "service", service: "web", tag: "", place: local } as const;
  expect(parse("_web._tcp.consul.", typeCodes.SRV)).toEqual(web);
  expect(parse("_web._tcp.consul.")).toEqual({ kind: "invalid" });
  expect(parse("_web._tcp.service.consul.")).toEqual(web);
  expect(parse("_web._udp.service.consul.")).toEqual({ ...web, tag: "udp" });
  expect(parse("_web._v1.dc2.consul.", typeCodes.SRV))
    .toEqual({ ...web, tag: "v1", place: { datacenter: "dc2", peer: "" } });
});

test("the locality is nothing, one datacenter, or pairs with their keyword", () => {
  const node = (name: string) => parse(`n.node.${name}`);
  const found = (datacenter: string, peer = "") => ({
    kind: "node" as const,
    node: "n",
    place: { datacenter, peer },
  });
  expect(node("dc2.consul.")).toEqual(found("dc2"));
  expect(node("dc2.dc.consul.")).toEqual(found("dc2"));
  expect(node("east.peer.consul.")).toEqual(found("dc1", "east"));
  expect(node("dc9.dc.dc2.dc.consul.")).toEqual(found("dc2"));
  const wrong = ["default.ns.consul.", "dc2.x.consul.", "a.b.c.consul.", "a.dc.b.peer.consul."];
  for (const name of wrong) expect(node(name)).toEqual({ kind: "invalid" });
});

test("a virtual address takes a single label for a peer", () => {
  expect(parse("api.virtual.east.consul."))
    .toEqual({ kind: "virtual", service: "api", peer: "east" });
  expect(parse("api.virtual.dc1.dc.consul."))
    .toEqual({ kind: "virtual", service: "api", peer: "" });
});

test("a prepared query keeps its dots and takes one datacenter at most", () => {
  expect(parse("my.q.query.consul.")).toEqual({ kind: "query", query: "my.q", datacenter: "dc1" });
  expect(parse("_my.q._tcp.query.dc2.consul."))
    .toEqual({ kind: "query", query: "my.q", datacenter: "dc2" });
  expect(parse("q.query.dc1.dc.consul.")).toEqual({ kind: "invalid" });
});

test("domains may lie inside each other", () => {
  const node = { kind: "node", node: "n", place: local } as const;
  expect(parse("n.node.test.consul.", typeCodes.A, "test.consul.")).toEqual(node);
  expect(parse("n.node.consul.", typeCodes.A, "test.consul.")).toEqual(node);
  expect(parse("n.node.dc-test.consul.", typeCodes.A, "test.consul."))
    .toEqual({ ...node, place: { datacenter: "dc-test", peer: "" } });
});

test("answers show the longest domain, in the question's letter case", () => {
  const settings = { ...defaultDnsSettings, altDomain: "test.consul." };
  expect(responseDomain("a.TEST.Consul.", settings)).toBe("TEST.Consul.");
  expect(responseDomain("a.best.Consul.", settings)).toBe("Consul.");
  expect(configuredDomain("a.TEST.Consul.", settings)).toBe("test.consul.");
});

test("the TTL of a service is that of its exact name, else of the longest prefix", () => {
  const ttls = new Map([["d*", 42], ["db", 10], ["db*", 66], ["*", 5]]);
  const ttl = (name: string) =>
    serviceTtlSeconds({ ...defaultDnsSettings, serviceTtlSeconds: ttls }, name);
  expect(["db", "dblb", "dk", "api"].map(ttl)).toEqual([10, 66, 42, 5]);
  expect(serviceTtlSeconds(defaultDnsSettings, "db")).toBe(0);
});
