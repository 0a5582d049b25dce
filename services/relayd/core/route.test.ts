import { describe, expect, test } from "bun:test";
import { MemberEvent } from "#proto/messages.js";
import { findWay, type RouteSettings } from "./route.ts";
import { type Pool, Servers } from "./servers.ts";

function known(members: [Pool, string, string][], whole: Pool[] = ["lan", "wan"]): Servers {
  const servers = new Servers();
  for (const [pool, name, dc] of members) {
    servers.apply(
      pool,
      MemberEvent.create({
        kind: "view",
        member: {
          name: pool === "wan" ? `${name}.${dc}` : name,
          address: "10.0.0.1",
          status: 1,
          tags: { role: "consul", curia: "1", dc, id: `id-${name}`, port: "8300" },
        },
      }),
    );
  }
  for (const pool of whole) servers.apply(pool, MemberEvent.create({ kind: "view-complete" }));
  return servers;
}

const client: RouteSettings = { datacenter: "dc1", nodeId: "id-c1", isServer: false };
const server: RouteSettings = { datacenter: "dc1", nodeId: "id-s1", isServer: true };
const all = known([["lan", "s1", "dc1"], ["lan", "s2", "dc1"], ["wan", "t1", "dc2"]]);

function way(
  settings: RouteSettings,
  servers: Servers,
  to: { datacenter?: string; target?: string } = {},
) {
  const found = findWay({ datacenter: "", target: "", ...to }, servers, settings);
  return found.kind === "servers"
    ? found.candidates.map((candidate) => candidate.node)
    : found.kind === "refuse"
    ? found.code
    : found.kind;
}

describe("the way of a call", () => {
  test("from a client node leads to the servers of its datacenter, whatever is asked", () => {
    expect(way(client, all)).toEqual(["s1", "s2"]);
    expect(way(client, all, { datacenter: "dc1", target: "leader" })).toEqual(["s1", "s2"]);
    const lanOnly = known([["lan", "s1", "dc1"]], ["lan"]);
    expect(way(client, lanOnly, { datacenter: "dc2" })).toEqual(["s1"]);
  });

  test("from a server leads to another datacenter, or to a fellow server but never to itself", () => {
    expect(way(server, all, { datacenter: "dc2" })).toEqual(["t1"]);
    expect(way(server, all)).toEqual(["s2"]);
  });

  test("from the only server waits for its own raftd", () => {
    expect(way(server, known([["lan", "s1", "dc1"]]))).toBe("own-server");
  });

  test("to a named server leads straight to it", () => {
    expect(way(client, all, { target: "node:S2" })).toEqual(["s2"]);
    expect(way(server, all, { target: "node:s2" })).toEqual(["s2"]);
  });

  test("is refused when nobody is there, but only once the members are known", () => {
    expect(way(client, known([], []))).toBe("wait");
    expect(way(client, known([]))).toBe("no-servers");
    expect(way(client, known([]), { datacenter: "dc2" })).toBe("no-servers");
    expect(way(server, all, { datacenter: "dc3" })).toBe("no-path-to-datacenter");
    expect(way(server, known([], ["lan"]), { datacenter: "dc2" })).toBe("wait");
    expect(way(server, all, { target: "node:nobody" })).toBe("not-found");
  });
});
