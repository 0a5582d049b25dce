import { describe, expect, test } from "bun:test";
import type { CheckDefinition } from "#shared/config/definitions.ts";
import { Random } from "#shared/random.ts";
import { overApi } from "./agent.ts";
import { emptyCheck, type ServiceRegistration } from "./model.ts";
import { CatalogModel, service, SimulatedNode, testNode } from "./simulated-node.ts";

function registration(
  name: string,
  checks: Partial<CheckDefinition>[] = [],
  change: Partial<ServiceRegistration> = {},
): ServiceRegistration {
  return {
    service: service(name),
    checks: checks.map((check) => ({ ...emptyCheck(), ...check })),
    token: "",
    sidecar: null,
    ...change,
  };
}

function started(node = new SimulatedNode()): SimulatedNode {
  node.start();
  node.run(100);
  return node;
}

function register(node: SimulatedNode, asked: ServiceRegistration, replace = false): void {
  node.do(node.agent.registerService(asked, replace, overApi, node.nowMs));
}

function addCheck(node: SimulatedNode, check: Partial<CheckDefinition>): void {
  const definition = { ...emptyCheck(), ...check };
  node.do(node.agent.registerCheck(definition, "", overApi, node.nowMs));
}

describe("registration", () => {
  test("a service is in the catalog after one round trip", () => {
    const node = started();
    register(node, registration("web"));
    node.run(1);
    expect(node.catalog.services.get("web")?.service).toBe("web");
    expect(node.catalog.node).toEqual(testNode);
  });

  test("checks of a service get ids and names, and keep their status", () => {
    const node = started();
    register(node, registration("a", [{ ttlMs: 60_000 }, { ttlMs: 60_000, status: "passing" }]));
    expect([...node.agent.local.checks.keys()]).toEqual(["service:a:1", "service:a:2"]);
    expect(node.agent.local.checks.get("service:a:1")?.row).toMatchObject({
      name: "Service 'a' check",
      status: "critical",
      interval: "",
      timeout: "",
      type: "ttl",
    });
    node.do(node.agent.updateTtl("service:a:1", "passing", "ok", node.nowMs));
    register(node, registration("a", [{ ttlMs: 30_000 }]));
    expect(node.agent.local.checks.size).toBe(3);
    register(node, registration("a", [{ id: "own", ttlMs: 30_000, status: "warning" }]), true);
    expect([...node.agent.local.checks.keys()]).toEqual(["own"]);
    node.run(10);
    expect([...node.catalog.checks.keys()]).toEqual(["own"]);
  });

  test("a refused registration changes nothing", () => {
    const node = started();
    const script = registration("s", [{ args: ["true"], intervalMs: 1000 }]);
    expect(() => register(node, script)).toThrow(
      "Scripts are disabled on this agent from remote calls; to enable, configure " +
        "'enable_script_checks' to true",
    );
    expect(node.agent.local.services.size).toBe(0);
  });

  test("tokens: own, else of config files, else the default; the agent's for what goes", () => {
    const node = started(
      new SimulatedNode({
        sync: {
          intervalMs: 60_000,
          outputIntervalMs: 0,
          tokens: { agent: "A", default: "D", configFile: "C" },
          adoptResults: false,
        },
      }),
    );
    node.effects.length = 0;
    register(node, registration("own", [], { token: "T" }));
    node.run(5);
    register(node, registration("default"));
    node.run(5);
    const fromFile = { source: "local", sync: "dirty" } as const;
    node.do(node.agent.registerService(registration("file"), false, fromFile, node.nowMs));
    node.run(5);
    node.do(node.agent.deregisterService("own", node.nowMs));
    const tokens = node.effects.filter((effect) => effect.kind === "push")
      .map((effect) => effect.group.token);
    expect(tokens).toEqual(["T", "D", "C", "A"]);
  });
});

describe("sidecar", () => {
  const withSidecar = registration("sc", [], {
    service: service("sc", { port: 1234, tags: ["q"] }),
    sidecar: registration(""),
  });

  test("is expanded with port, destination and checks, and goes with its parent", () => {
    const node = started();
    register(node, withSidecar);
    const { row } = node.agent.local.services.get("sc-sidecar-proxy")!;
    expect(row).toMatchObject({ kind: "connect-proxy", port: 21000, tags: ["q"] });
    expect(JSON.parse(row.proxyJson)).toEqual({
      DestinationServiceName: "sc",
      DestinationServiceID: "sc",
      LocalServiceAddress: "127.0.0.1",
      LocalServicePort: 1234,
    });
    const checks = node.agent.local.checksOf("sc-sidecar-proxy").map((check) => check.row);
    expect(checks.map((row) => [row.checkId, row.name, row.type, row.interval])).toEqual([
      ["service:sc-sidecar-proxy:1", "Connect Sidecar Listening", "tcp", "10s"],
      ["service:sc-sidecar-proxy:2", "Connect Sidecar Aliasing sc", "alias", ""],
    ]);
    register(node, withSidecar);
    expect(node.agent.local.services.get("sc-sidecar-proxy")?.row.port).toBe(21000);
    node.run(10);
    node.do(node.agent.deregisterService("sc", node.nowMs));
    node.run(10);
    expect(node.agent.local.services.size).toBe(0);
    expect(node.catalog.services.size).toBe(0);
    expect(node.catalog.checks.size).toBe(0);
  });

  test("goes when the parent comes without it", () => {
    const node = started();
    register(node, withSidecar);
    register(node, registration("sc"));
    expect([...node.agent.local.services.keys()]).toEqual(["sc"]);
  });

  test("finds no port when the range is used up", () => {
    const node = started(
      new SimulatedNode({
        rules: {
          enableLocalScripts: false,
          enableRemoteScripts: false,
          sidecarPorts: { min: 21000, max: 21000 },
        },
      }),
    );
    register(node, withSidecar);
    const other = { ...withSidecar, service: service("other") };
    expect(() => register(node, other)).toThrow("none left in the configured range [21000, 21000]");
  });
});

describe("TTL", () => {
  test("expires with the last note, and any note starts it again", () => {
    const node = started();
    addCheck(node, { name: "t", ttlMs: 1500 });
    node.run(1499);
    expect(node.agent.local.checks.get("t")?.row.output).toBe("");
    node.run(1);
    expect(node.agent.local.checks.get("t")?.row).toMatchObject({
      status: "critical",
      output: "TTL expired",
      interval: "0s",
    });
    node.do(node.agent.updateTtl("t", "passing", "alive", node.nowMs));
    node.run(1000);
    node.do(node.agent.updateTtl("t", "passing", "alive", node.nowMs));
    node.run(1000);
    expect(node.catalog.checks.get("t")?.status).toBe("passing");
    node.run(501);
    expect(node.catalog.checks.get("t")).toMatchObject({
      status: "critical",
      output: "TTL expired (last output before timeout follows): alive",
    });
  });

  test("refuses other checks and unknown ones in Consul's words", () => {
    const node = started();
    addCheck(node, { name: "tcp", tcp: "127.0.0.1:1", intervalMs: 1000 });
    const update = (id: string, status: string) => () =>
      node.agent.updateTtl(id, status, "", node.nowMs);
    expect(update("tcp", "passing")).toThrow('CheckID "tcp" does not have associated TTL');
    expect(update("none", "passing")).toThrow(
      'Unknown check ID "none". Ensure that the check ID is passed, not the check name.',
    );
    expect(update("none", "good")).toThrow("Invalid check status: 'good'");
  });
});

describe("polled checks", () => {
  test("run one after another, an interval after the end of the last", () => {
    const node = started();
    addCheck(node, { name: "c", tcp: "x:1", intervalMs: 5000 });
    node.run(60_000);
    const gaps = node.probesAtMs.slice(1).map((atMs, i) => atMs - node.probesAtMs[i]!);
    expect(node.probesAtMs[0]).toBeLessThanOrEqual(5100);
    expect(new Set(gaps.map(Math.round))).toEqual(new Set([5001]));
    expect(node.catalog.checks.get("c")?.status).toBe("passing");
  });

  test("a status change reaches the catalog at once, an output change later", () => {
    const node = started();
    addCheck(node, { name: "c", tcp: "x:1", intervalMs: 1000 });
    node.run(2000);
    node.probe = () => ({ status: "passing", output: "other", isFinal: false });
    node.run(2000);
    expect(node.agent.local.checks.get("c")?.row.output).toBe("other");
    expect(node.catalog.checks.get("c")?.output).toBe("fine");
    node.run(450_000);
    expect(node.catalog.checks.get("c")?.output).toBe("other");
    node.probe = () => ({ status: "critical", output: "down", isFinal: false });
    node.run(1010);
    expect(node.catalog.checks.get("c")).toMatchObject({ status: "critical", output: "down" });
  });

  test("a result of a run before the check was replaced is not taken", () => {
    const node = started();
    addCheck(node, { name: "c", tcp: "x:1", intervalMs: 1000 });
    while (node.probesAtMs.length === 0) node.run(1);
    const old = node.effects.findLast((effect) => effect.kind === "probe")!;
    addCheck(node, { name: "c", tcp: "y:1", intervalMs: 1000 });
    const result = { status: "warning", output: "old", isFinal: true };
    const probed = { kind: "probed", checkId: "c", run: old.run, result, isLast: true } as const;
    node.do(node.agent.schedule(probed, node.nowMs));
    expect(node.agent.local.checks.get("c")!.row.output).not.toBe("old");
  });

  test("thresholds 3, 2, 4: the first result shows at once", () => {
    const node = started();
    let result = "critical";
    node.probe = () => ({ status: result, output: "", isFinal: false });
    const thresholds = {
      successBeforePassing: 3,
      failuresBeforeWarning: 2,
      failuresBeforeCritical: 4,
    };
    addCheck(node, { name: "c", tcp: "x:1", intervalMs: 1000, status: "passing", ...thresholds });
    const seen: string[] = [];
    const next = () => {
      const runs = node.probesAtMs.length;
      while (node.probesAtMs.length === runs) node.run(1);
      node.run(1);
      seen.push(node.agent.local.checks.get("c")!.row.status);
    };
    next();
    result = "passing";
    for (let i = 0; i < 3; i++) next();
    result = "critical";
    for (let i = 0; i < 4; i++) next();
    expect(seen).toEqual([
      ...["critical", "critical", "critical", "passing"],
      ...["passing", "warning", "warning", "critical"],
    ]);
  });
});

describe("alias", () => {
  test("mirrors the worst of its service and its node", () => {
    const node = started();
    register(node, registration("web", [{ id: "w", ttlMs: 60_000, status: "passing" }]));
    const mirror = { id: "m", aliasService: "web" };
    register(node, registration("mirror", [mirror]));
    const shown = () => node.agent.local.checks.get("m")!.row;
    expect(shown()).toMatchObject({ status: "passing", output: "All checks passing." });
    node.do(node.agent.updateTtl("w", "warning", "hm", node.nowMs));
    expect(shown().output).toBe(`Aliased check "Service 'web' check" failing: hm`);
    expect(shown().status).toBe("warning");
    addCheck(node, { name: "n", ttlMs: 60_000 });
    expect(shown()).toMatchObject({
      status: "critical",
      output: 'Aliased check "n" failing: ',
    });
    node.do(node.agent.deregisterCheck("n", node.nowMs));
    node.do(node.agent.deregisterService("web", node.nowMs));
    expect(shown().output).toBe("Service web could not be found on node ");
  });

  test("a ring of aliases comes to rest", () => {
    const node = started();
    register(node, registration("a", [{ id: "a", aliasService: "b" }]));
    register(node, registration("b", [{ id: "b", aliasService: "a" }]));
    node.run(600_000);
    expect(node.agent.local.checks.get("a")!.row.output.length).toBeLessThanOrEqual(4096);
  });
});

describe("maintenance and reaping", () => {
  test("maintenance keeps the first reason, and can be of the node", () => {
    const node = started();
    register(node, registration("web"));
    const set = (id: string, on: boolean, reason: string) =>
      node.do(node.agent.setMaintenance(id, on, reason, "", node.nowMs));
    set("web", true, "because");
    set("web", true, "other");
    set("", true, "");
    node.run(10);
    expect(node.catalog.checks.get("_service_maintenance:web")?.notes).toBe("because");
    expect(node.catalog.checks.get("_node_maintenance")).toMatchObject({
      status: "critical",
      type: "maintenance",
      notes: "Maintenance mode is enabled for this node, but no reason was provided. " +
        "This is a default message.",
    });
    set("web", false, "");
    set("", false, "");
    node.run(10);
    expect(node.catalog.checks.size).toBe(0);
    expect(() => set("none", true, "")).toThrow('Unknown service ID "none".');
  });

  test("a service that stays critical goes after its time, at least a minute", () => {
    const node = started();
    node.probe = () => ({ status: "critical", output: "", isFinal: false });
    const check = { tcp: "x:1", intervalMs: 1000, deregisterCriticalServiceAfterMs: 10_000 };
    register(node, registration("web", [check]));
    node.run(59_000);
    expect(node.agent.local.services.has("web")).toBe(true);
    node.run(35_000);
    expect(node.agent.local.services.has("web")).toBe(false);
    expect(node.catalog.services.has("web")).toBe(false);
  });
});

describe("anti-entropy", () => {
  test("what the catalog lost comes back, what it has too much goes", () => {
    const node = started();
    register(node, registration("web", [{ ttlMs: 600_000_000, status: "passing" }]));
    node.run(10);
    node.catalog.services.clear();
    node.catalog.checks.clear();
    node.catalog.services.set("stray", service("stray", { id: "stray" }));
    node.catalog.services.set("consul", service("consul", { id: "consul" }));
    const health = { ...node.agent.local.checksOf("web")[0]!.row, serviceId: "" };
    node.catalog.checks.set("serfHealth", { ...health, checkId: "serfHealth" });
    node.run(121_000);
    expect([...node.catalog.services.keys()].sort()).toEqual(["consul", "web"]);
    expect([...node.catalog.checks.keys()].sort()).toEqual(["serfHealth", "service:web"]);
  });

  test("what changes while a push is under way goes with the next", () => {
    const node = started();
    node.latencyMs = 20;
    const row = (port: number) => service("web", { port });
    register(node, registration("web", [{ id: "c", ttlMs: 60_000 }], { service: row(1) }));
    node.run(10);
    register(node, registration("web", [], { service: row(2) }));
    node.do(node.agent.updateTtl("c", "passing", "", node.nowMs));
    node.run(31);
    expect(node.catalog.services.get("web")?.port).toBe(2);
    expect(node.catalog.checks.get("c")?.status).toBe("passing");
    register(node, registration("other"));
    node.do(node.agent.deregisterCheck("c", node.nowMs));
    node.do(node.agent.deregisterService("web", node.nowMs));
    register(node, registration("web", [{ id: "c", ttlMs: 60_000 }], { service: row(3) }));
    node.run(80);
    expect(node.catalog.services.get("web")?.port).toBe(3);
    expect(node.catalog.checks.has("c")).toBe(true);
  });

  test("EnableTagOverride lets the catalog's tags win", () => {
    const node = started();
    const row = service("web", { tags: ["mine"], enableTagOverride: true });
    register(node, registration("web", [], { service: row }));
    node.run(10);
    node.catalog.services.set("web", { ...node.catalog.services.get("web")!, tags: ["theirs"] });
    node.run(121_000);
    expect(node.agent.local.services.get("web")?.row.tags).toEqual(["theirs"]);
    expect(node.catalog.services.get("web")?.tags).toEqual(["theirs"]);
  });

  test("a refused row waits for the next comparison and holds up no other", () => {
    const node = started();
    node.catalog.refuse = (command) =>
      command.kind === "register" && command.service?.id === "bad"
        ? { code: "permission-denied", text: "Permission denied" }
        : null;
    register(node, registration("bad"));
    register(node, registration("good"));
    node.run(10);
    expect([...node.catalog.services.keys()]).toEqual(["good"]);
    const tried = node.catalog.commands.length;
    node.run(50_000);
    expect(node.catalog.commands.length).toBe(tried);
    node.catalog.refuse = () => null;
    node.run(120_000);
    expect([...node.catalog.services.keys()].sort()).toEqual(["bad", "good"]);
  });

  test("a check whose service the catalog lost takes the service along", () => {
    const node = started();
    register(node, registration("web", [{ id: "w", ttlMs: 600_000 }]));
    node.run(10);
    node.catalog.services.clear();
    node.do(node.agent.updateTtl("w", "passing", "", node.nowMs));
    node.run(10);
    expect(node.catalog.services.has("web")).toBe(true);
    expect(node.catalog.checks.get("w")?.status).toBe("passing");
  });

  test("after a short restart the catalog's results stand until the first new one", () => {
    const first = started();
    first.do(first.agent.registerService(
      registration("web", [{ tcp: "x:1", intervalMs: 10_000 }]),
      false,
      overApi,
      0,
    ));
    first.run(20_000);
    expect(first.catalog.checks.get("service:web")?.status).toBe("passing");
    for (const adoptResults of [true, false]) {
      const catalog = new CatalogModel();
      catalog.node = first.catalog.node;
      for (const [id, row] of first.catalog.services) catalog.services.set(id, row);
      for (const [id, row] of first.catalog.checks) catalog.checks.set(id, row);
      const sync = {
        intervalMs: 60_000,
        outputIntervalMs: 300_000,
        tokens: { agent: "", default: "", configFile: "" },
        adoptResults,
      };
      const second = new SimulatedNode({ sync }, 2, catalog);
      const restored = { source: "remote", sync: "unknown" } as const;
      const asked = registration("web", [{ tcp: "x:1", intervalMs: 10_000 }]);
      second.do(second.agent.registerService(asked, false, restored, 0));
      second.start();
      second.run(50);
      expect(catalog.checks.get("service:web")?.status).toBe(
        adoptResults ? "passing" : "critical",
      );
    }
  });

  test("after quiet the catalog equals the local state, whatever happened", () => {
    for (let seed = 1; seed <= 60; seed++) {
      const node = disturbed(seed);
      node.isCatalogAway = false;
      node.run(200_000);
      const { local } = node.agent;
      const say = `seed ${seed}`;
      expect([...node.catalog.services.keys()].sort(), say).toEqual(
        [...local.services.keys()].sort(),
      );
      expect([...node.catalog.checks.keys()].sort(), say).toEqual([...local.checks.keys()].sort());
      for (const [id, entry] of local.services) {
        expect(node.catalog.services.get(id), say).toEqual(entry.row);
      }
      for (const [id, entry] of local.checks) {
        expect(node.catalog.checks.get(id)?.status, say).toBe(entry.row.status);
        if (!entry.isOutputDeferred) {
          expect(node.catalog.checks.get(id), say).toEqual(entry.row);
        }
      }
      expect(local.isDirty, say).toBe(false);
    }
  });
});

/** Random commands, results, losses and absences of the catalog. */
function disturbed(seed: number): SimulatedNode {
  const random = new Random(seed);
  const node = new SimulatedNode({}, seed);
  node.probe = () => ({
    status: random.pick(["passing", "warning", "critical"]),
    output: String(random.below(3)),
    isFinal: false,
  });
  node.start();
  const acts: (() => void)[] = [
    () => {
      const id = random.pick(["a", "b", "c"]);
      const checks = random.pick([
        [],
        [{ tcp: "x:1", intervalMs: 2000 }],
        [{ ttlMs: 5000 }, { aliasService: "a" }],
      ]);
      const row = service(id, { port: random.below(3), tags: random.pick([[], ["x"]]) });
      const sidecar = random.chance(0.3) ? registration("") : null;
      register(node, registration(id, checks, { service: row, sidecar }), random.chance(0.5));
    },
    () => {
      const id = random.pick([...node.agent.local.services.keys(), "none"]);
      if (node.agent.local.services.has(id)) {
        node.do(node.agent.deregisterService(id, node.nowMs));
      }
    },
    () => addCheck(node, { name: random.pick(["n1", "n2"]), ttlMs: 3000 }),
    () => {
      const id = random.pick([...node.agent.local.checks.keys(), "none"]);
      if (node.agent.local.checks.has(id)) node.do(node.agent.deregisterCheck(id, node.nowMs));
    },
    () => node.do(node.agent.setMaintenance("", random.chance(0.5), "", "", node.nowMs)),
    () => void (node.isCatalogAway = random.chance(0.5)),
    () => void (node.latencyMs = random.pick([1, 50, 2000])),
    () => node.catalog.services.clear(),
    () => node.catalog.checks.clear(),
    () => node.do(node.agent.sync({ kind: "server-up" }, node.nowMs)),
    () => node.do(node.agent.sync({ kind: "reconnected" }, node.nowMs)),
  ];
  for (let i = 0; i < 150; i++) {
    random.pick(acts)();
    node.run(random.pick([0, 1, 40, 900, 7000]));
  }
  node.probe = () => ({ status: "passing", output: "fine", isFinal: false });
  node.latencyMs = 1;
  return node;
}
