import { expect, test } from "bun:test";
import { bytes, FixtureStore } from "./fixture-store.ts";

const id1 = "40e4a748-2192-161a-0510-9bf59fe950b5";
const id2 = "8f246b77-f3e1-ff88-5b48-8ec93abf3e05";
const nodeOf = (fixture: FixtureStore, node: string) => fixture.ask({ node: { node } });
const health = { instances: { service: "web", withChecks: true } };
const catalog = { instances: { service: "web" } };

function withWeb(): FixtureStore {
  const fixture = new FixtureStore();
  fixture.register({ node: "n1" }, {
    service: { service: "web", port: 80 },
    checks: [
      { checkId: "serfHealth", name: "Serf Health Status", status: "passing" },
      { name: "web", serviceId: "web", status: "passing" },
    ],
  });
  return fixture;
}

test("a registration fills in what is left out", () => {
  const fixture = withWeb();
  const [instance] = fixture.ask(health).instances;
  expect(instance).toMatchObject({
    node: { node: "n1", createIndex: 1, modifyIndex: 1 },
    service: { id: "web", service: "web", weights: { passing: 1, warning: 1 }, node: "n1" },
    checks: [
      { checkId: "serfHealth", serviceName: "" },
      { checkId: "web", node: "n1", serviceName: "web", status: "passing" },
    ],
  });
  fixture.register({ node: "n1" }, { checks: [{ name: "c" }] });
  expect(fixture.ask({ checks: { node: "N1" } }).checks.map(({ status }) => status))
    .toEqual(["critical", "passing", "passing"]);
});

test("an identical registration moves no index", () => {
  const fixture = withWeb();
  const hash = fixture.store.contentHash();
  fixture.register({ node: "n1" }, {
    service: { service: "web", port: 80 },
    checks: [{ name: "web", serviceId: "web", status: "passing" }],
  });
  expect(fixture.last.changes.groups).toEqual([]);
  expect(fixture.last.changes.touched.size).toBe(0);
  expect(fixture.store.contentHash()).toBe(hash);
  expect(fixture.indexOf(health)).toBe(1);
});

test("maps compare without order, absent and empty ones differ", () => {
  const fixture = new FixtureStore();
  fixture.register({ node: "n1", meta: { a: "1", b: "2" }, hasMeta: true });
  fixture.register({ node: "n1", meta: { b: "2", a: "1" }, hasMeta: true });
  expect(nodeOf(fixture, "n1").nodes[0]!.modifyIndex).toBe(1);
  fixture.register({ node: "n1" });
  expect(nodeOf(fixture, "n1").nodes[0]).toMatchObject({ modifyIndex: 3, hasMeta: false });
});

test("faults of a registration have Consul's texts", () => {
  const fixture = withWeb();
  const errorOf = (node: object, rest: object = {}) => fixture.register(node, rest).error;
  expect(errorOf({ node: "" })).toBe("Must provide node");
  expect(errorOf({ node: "x", address: "" }))
    .toBe("Must provide address if SkipNodeUpdate is not set");
  expect(errorOf({ node: "x", id: "nope" })).toBe("Bad node ID: uuid string is wrong length");
  expect(errorOf({ node: "n1" }, { service: { id: "x" } }))
    .toBe("Must provide service name (Service.Service) when service ID is provided");
  expect(errorOf({ node: "n1" }, { service: { service: "x", address: "0.0.0.0" } }))
    .toBe("Invalid service address");
  expect(errorOf({ node: "n1" }, { checks: [{ node: "other", name: "c" }] }))
    .toBe("Node 'other' for check 'c' doesn't match register request node 'n1'");
  expect(errorOf({ node: "n1" }, { checks: [{ name: "c", serviceId: "nosvc" }] }))
    .toBe("Unknown service ID 'nosvc' for check ID 'c'");
  expect(errorOf({ node: "n1" }, { checks: [{}] }))
    .toContain("object is missing a value for this index");
  expect(errorOf({ node: "n1" }, { service: { service: "mm", meta: { "a b": "1" } } })).toBe(
    "failed inserting service: Invalid Service Meta for node n1 and serviceID mm: " +
      "Couldn't load metadata pair ('a b', '1'): Key contains invalid characters",
  );
  expect(errorOf({ node: "n1" }, { service: { kind: "connect-proxy", service: "p", port: 9 } }))
    .toBe(
      "1 error occurred:\n\t* Proxy.DestinationServiceName must be non-empty for Connect proxy " +
        "services\n\n",
    );
  expect(fixture.run({ deregister: { serviceId: "x" } }).error).toBe("Must provide node");
});

test("a refused registration writes nothing", () => {
  const fixture = new FixtureStore();
  const hash = fixture.store.contentHash();
  fixture.register({ node: "new" }, { checks: [{ name: "c", serviceId: "nosvc" }] });
  expect(fixture.store.contentHash()).toBe(hash);
  expect(nodeOf(fixture, "new").nodes).toEqual([]);
});

test("SkipNodeUpdate leaves a known node alone and makes a missing one without address", () => {
  const fixture = withWeb();
  fixture.register({ node: "n1", address: "" }, {
    skipNodeUpdate: true,
    service: { service: "b" },
  });
  expect(nodeOf(fixture, "n1").nodes[0]).toMatchObject({ address: "10.0.0.1", modifyIndex: 1 });
  fixture.register({ node: "n2", address: "" }, { skipNodeUpdate: true });
  expect(nodeOf(fixture, "n2").nodes[0]).toMatchObject({ address: "", createIndex: 3 });
});

test("the name of a live node is reserved, that of a failed one may be taken", () => {
  const fixture = new FixtureStore();
  const serf = (status: string) => ({ checks: [{ checkId: "serfHealth", name: "s", status }] });
  fixture.register({ node: "n1", id: id1 }, serf("passing"));
  expect(fixture.register({ node: "N1", id: id2, address: "10.0.0.9" }).error).toBe(
    `failed inserting node: Error while renaming Node ID: "${id2}": Node name N1 is reserved by ` +
      `node ${id1} with name n1 (10.0.0.1)`,
  );
  fixture.register({ node: "n1", id: id1 }, serf("critical"));
  expect(fixture.register({ node: "n1", id: id2 }).ok).toBe(true);
  expect(nodeOf(fixture, "n1").nodes[0]).toMatchObject({ id: id2, createIndex: 1 });
});

test("a known ID under a new name renames the node and drops what the old name carried", () => {
  const fixture = new FixtureStore();
  fixture.register({ node: "old", id: id1 }, { service: { service: "web" } });
  expect(fixture.register({ node: "new", id: id1 }).ok).toBe(true);
  expect(nodeOf(fixture, "old").meta).toMatchObject({ notFound: true, index: 2 });
  expect(nodeOf(fixture, "new")).toMatchObject({
    nodes: [{ node: "new", id: id1, createIndex: 1, modifyIndex: 2 }],
    nodeServices: [],
  });
});

test("a node is found by its ID and by a prefix that is not ambiguous", () => {
  const fixture = new FixtureStore();
  fixture.register({ node: "a", id: id1 });
  fixture.register({ node: "b", id: id1.replace("9bf5", "9bf6") });
  expect(nodeOf(fixture, id1).nodes[0]!.node).toBe("a");
  expect(nodeOf(fixture, id1.slice(0, 10)).meta!.notFound).toBe(true);
  expect(nodeOf(fixture, "A").nodes[0]!.node).toBe("a");
});

test("indexes of nodes, services, checks and one service move as Consul's do", () => {
  const fixture = withWeb();
  const indexes = () => ({
    nodes: fixture.indexOf({ nodes: {} }),
    services: fixture.indexOf({ services: {} }),
    checks: fixture.indexOf({ checks: { state: "any" } }),
    web: fixture.indexOf(health),
    node: fixture.indexOf({ node: { node: "n1" } }),
  });
  expect(indexes()).toEqual({ nodes: 1, services: 1, checks: 1, web: 1, node: 1 });
  // A service moves the nodes' index, but not that of another service.
  fixture.register({ node: "n1" }, { service: { service: "db" } });
  expect(indexes()).toEqual({ nodes: 2, services: 2, checks: 1, web: 1, node: 2 });
  // A node-level check moves all services of the node.
  fixture.register({ node: "n1" }, {
    checks: [{ checkId: "serfHealth", name: "Serf Health Status", status: "critical" }],
  });
  expect(indexes()).toEqual({ nodes: 2, services: 2, checks: 3, web: 3, node: 2 });
  // A service's check moves that service.
  fixture.register({ node: "n1" }, { checks: [{ name: "db", serviceId: "db" }] });
  expect(indexes()).toEqual({ nodes: 2, services: 2, checks: 4, web: 3, node: 2 });
  // The node itself moves its services.
  fixture.register({ node: "n1", address: "10.0.0.2" });
  expect(indexes()).toEqual({ nodes: 5, services: 2, checks: 4, web: 5, node: 5 });
  // Removing a node-level check moves the services' index too.
  fixture.run({ deregister: { node: "n1", checkId: "serfHealth" } });
  expect(indexes()).toEqual({ nodes: 5, services: 6, checks: 6, web: 6, node: 5 });
});

test("a service without instances has the index of the last extinction", () => {
  const fixture = withWeb();
  expect(fixture.indexOf({ instances: { service: "never" } })).toBe(1);
  fixture.register({ node: "n1" }, { service: { service: "db" } });
  expect(fixture.indexOf({ instances: { service: "never" } })).toBe(2);
  fixture.run({ deregister: { node: "n1", serviceId: "db" } });
  expect(fixture.indexOf({ instances: { service: "never" } })).toBe(3);
  expect(fixture.indexOf({ instances: { service: "db" } })).toBe(3);
  fixture.set("noise", "1");
  fixture.register({ node: "n1", address: "10.0.0.7" });
  expect(fixture.indexOf({ instances: { service: "never" } })).toBe(3);
});

test("an unknown node has the index of the last node that went", () => {
  const fixture = withWeb();
  expect(fixture.indexOf({ node: { node: "gone" } })).toBe(1);
  fixture.register({ node: "n2" });
  fixture.run({ deregister: { node: "n2" } });
  expect(fixture.indexOf({ node: { node: "gone" } })).toBe(3);
});

test("a node goes with its services, checks, coordinates and sessions", () => {
  const fixture = withWeb();
  fixture.run({ coordinates: { coordinates: [{ node: "n1", vec: [1, 2] }, { node: "x" }] } });
  expect(fixture.ask({ coordinates: {} }).coordinates).toHaveLength(1);
  fixture.session({ id: id1, node: "N1" });
  fixture.run({ deregister: { node: "N1" } });
  expect(fixture.ask({ nodeDump: {} })).toMatchObject({ nodes: [], instances: [], checks: [] });
  expect(fixture.ask({ services: {} }).services).toEqual([]);
  expect(fixture.ask({ coordinates: {} }).coordinates).toEqual([]);
  expect(fixture.ask({ sessions: {} }).sessions).toEqual([]);
  expect(fixture.ask({ sessions: { node: "n1" } }).meta!.index).toBe(4);
  expect(fixture.run({ deregister: { node: "n1" } }).ok).toBe(true);
});

test("services list their tags once, per name as it is spelled", () => {
  const fixture = new FixtureStore();
  fixture.register({ node: "n1", meta: { rack: "r1" }, hasMeta: true }, {
    service: { service: "web", tags: ["b", "a", "b"] },
  });
  fixture.register({ node: "n2" }, { service: { service: "web", tags: ["c"] } });
  expect(fixture.ask({ services: {} }).services)
    .toEqual([{ service: "web", tags: ["a", "b", "c"], kind: "" }]);
  expect(fixture.ask({ services: { nodeMeta: { rack: "r1" } } }).services)
    .toEqual([{ service: "web", tags: ["a", "b"], kind: "" }]);
  expect(fixture.ask({ nodes: { meta: { rack: "r2" } } }).nodes).toEqual([]);
});

test("instances are filtered by tags without case and by node metadata, the index is not", () => {
  const fixture = new FixtureStore();
  fixture.register({ node: "n1", meta: { z: "1" }, hasMeta: true }, {
    service: { service: "web", tags: ["V1", "x"] },
  });
  fixture.register({ node: "n2" }, { service: { service: "web", tags: ["v1"] } });
  const nodes = (more: object) =>
    fixture.ask({ instances: { service: "web", ...more } }).instances.map(({ node }) => node!.node);
  expect(nodes({ tags: ["v1"] })).toEqual(["n1", "n2"]);
  expect(nodes({ tags: ["v1", "X"] })).toEqual(["n1"]);
  expect(nodes({ nodeMeta: { z: "1" } })).toEqual(["n1"]);
  expect(fixture.indexOf({ instances: { service: "web", tags: ["none"] } })).toBe(2);
});

test("a critical check ends the sessions that hang on it, also when it was critical before", () => {
  const fixture = withWeb();
  fixture.session({ id: id1, node: "n1", nodeChecks: ["serfHealth"] });
  fixture.session({ id: id2, node: "n1", nodeChecks: [], serviceChecks: [{ id: "web" }] });
  const check = (checkId: string, status: string, serviceId = "") =>
    fixture.register({ node: "n1" }, { checks: [{ checkId, name: checkId, status, serviceId }] });
  check("serfHealth", "warning");
  expect(fixture.ask({ sessions: {} }).sessions).toHaveLength(2);
  check("serfHealth", "critical");
  expect(fixture.ask({ sessions: {} }).sessions.map(({ id }) => id)).toEqual([id2]);
  fixture.run({ deregister: { node: "n1", serviceId: "web" } });
  expect(fixture.ask({ sessions: {} }).sessions).toEqual([]);
});

test("proxies and native services get a virtual address, which goes back with the last one", () => {
  const fixture = new FixtureStore();
  const proxyJson = bytes(JSON.stringify({ DestinationServiceName: "web" }));
  const proxy = { kind: "connect-proxy", service: "web-proxy", port: 9, proxyJson };
  fixture.register({ node: "n1" }, { service: proxy });
  const connect = { instances: { service: "web", connect: true, withChecks: true } };
  const tagOf = (query: object) =>
    fixture.ask(query).instances[0]!.service!.taggedAddresses["consul-virtual"];
  expect(tagOf(connect)).toMatchObject({ address: "240.0.0.1", port: 9 });
  fixture.register({ node: "n1" }, { service: proxy });
  expect(fixture.last.changes.groups).toEqual([]);
  const connectJson = bytes('{"Native":true}');
  fixture.register({ node: "n1" }, { service: { service: "db", connectJson } });
  expect(tagOf({ instances: { service: "db", connect: true } }))
    .toMatchObject({ address: "240.0.0.2", port: 0 });
  fixture.run({ deregister: { node: "n1", serviceId: "db" } });
  fixture.register({ node: "n1" }, { service: { service: "db2", connectJson } });
  expect(tagOf({ instances: { service: "db2", connect: true } }))
    .toMatchObject({ address: "240.0.0.2" });
});

test("a service check's type comes from its definition", () => {
  const fixture = withWeb();
  const definitionJson = bytes('{"HTTP":"http://localhost","Interval":"5s"}');
  fixture.register({ node: "n1" }, { checks: [{ name: "h", serviceId: "web", definitionJson }] });
  expect(fixture.ask({ checks: { service: "WEB" } }).checks[0]).toMatchObject({ type: "http" });
});

test("catalog reads do not show checks, and watch only rows", () => {
  const fixture = withWeb();
  expect(fixture.ask(catalog).instances[0]!.checks).toEqual([]);
  fixture.register({ node: "n1" }, {
    checks: [{ name: "web", serviceId: "web", status: "warning" }],
  });
  expect(fixture.last.changes.touched.has("health  web")).toBe(true);
  expect(fixture.last.changes.touched.has("instances  web")).toBe(false);
});

test("catalog reads of the mesh have the target's index, health reads that of all proxies", () => {
  const fixture = withWeb();
  const proxyJson = bytes('{"DestinationServiceName":"web"}');
  const proxy = { kind: "connect-proxy", service: "p", port: 1, proxyJson };
  fixture.register({ node: "n2" }, { service: proxy });
  const connect = { service: "web", connect: true };
  expect(fixture.indexOf({ instances: connect })).toBe(1);
  expect(fixture.indexOf({ instances: { ...connect, withChecks: true } })).toBe(2);
  fixture.run({ deregister: { node: "n2" } });
  expect(fixture.indexOf({ instances: connect })).toBe(3);
});
