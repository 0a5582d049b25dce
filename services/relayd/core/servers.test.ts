import { describe, expect, test } from "bun:test";
import { MemberEvent } from "#proto/messages.js";
import { Servers } from "./servers.ts";

function event(kind: string, name: string, more: { dc?: string; id?: string; role?: string } = {}) {
  const { dc = "dc1", id = `id-${name}`, role = "consul" } = more;
  return MemberEvent.create({
    kind,
    member: {
      name,
      address: "10.0.0.1",
      status: kind === "failed" ? 4 : kind === "leave" ? 3 : 1,
      tags: { role, dc, id, port: "8300", curia: "1" },
    },
  });
}
const complete = MemberEvent.create({ kind: "view-complete" });

function nodes(servers: Servers, datacenter = "dc1"): string[] {
  return servers.of(datacenter).map((server) => server.node);
}

describe("servers known from members", () => {
  test("are those with the server's role and a usable port", () => {
    const servers = new Servers();
    servers.opened("lan");
    servers.apply("lan", event("view", "s1"));
    servers.apply("lan", event("view", "c1", { role: "node" }));
    const portless = event("view", "s2");
    portless.member!.tags.port = "0";
    servers.apply("lan", portless);
    const observed = event("view", "s3");
    delete observed.member!.tags.curia;
    servers.apply("lan", observed);
    expect(nodes(servers)).toEqual(["s1"]);
  });

  test("go when they fail, leave or are reaped, and return when they join", () => {
    const servers = new Servers();
    servers.opened("lan");
    for (const kind of ["failed", "leave", "reap"]) {
      expect(servers.apply("lan", event("join", "s1"))).toBe(true);
      expect(servers.apply("lan", event("update", "s1"))).toBe(false);
      expect(servers.apply("lan", event(kind, "s1"))).toBe(true);
      expect(nodes(servers)).toEqual([]);
    }
  });

  test("of a stream opened anew stay until the full list shows who is gone", () => {
    const servers = new Servers();
    servers.opened("lan");
    servers.apply("lan", event("view", "s1"));
    servers.apply("lan", event("view", "s2"));
    servers.apply("lan", complete);
    servers.opened("lan");
    servers.apply("lan", event("view", "s2"));
    expect(nodes(servers)).toEqual(["s1", "s2"]);
    expect(servers.apply("lan", complete)).toBe(true);
    expect(nodes(servers)).toEqual(["s2"]);
  });

  test("in both pools count once, by their LAN address", () => {
    const servers = new Servers();
    const wan = event("view", "s1.dc1", { id: "id-s1" });
    wan.member!.address = "192.0.2.1";
    servers.apply("wan", wan);
    servers.apply("lan", event("view", "s1"));
    servers.apply("wan", event("view", "s9.dc2", { dc: "dc2" }));
    expect(servers.of("dc1").map((server) => server.address)).toEqual(["10.0.0.1"]);
    expect(nodes(servers, "dc2")).toEqual(["s9"]);
    expect(servers.datacenters()).toEqual(["dc1", "dc2"]);
    expect(servers.find("dc2", "S9")?.id).toBe("id-s9.dc2");
  });
});
