import { describe, expect, test } from "bun:test";
import { parseAgentFlags } from "./agent-flags.ts";
import { loadConfig } from "./assemble.ts";
import { canonicalJson, seal } from "./seal.ts";
import type { HostFacts } from "./host-facts.ts";
import { daemonConfig } from "./parts.ts";
import type { ConfigSource } from "./source.ts";

const host: HostFacts = {
  hostName: "box",
  interfaces: [
    { name: "lo", address: "127.0.0.1", family: 4, isLoopback: true },
    { name: "eth0", address: "10.0.0.5", family: 4, isLoopback: false },
  ],
  fileDescriptorsMax: 1024,
  fallbackRunDir: "/tmp/dev",
  absolutePath: (path) => path.startsWith("/") ? path : `/cwd/${path}`,
  pathKind: () => "absent",
};

function load(texts: (string | object)[], args: string[] = []) {
  const flags = parseAgentFlags(args);
  const files = texts.map((text, i): ConfigSource =>
    typeof text === "string"
      ? { name: `${i}.hcl`, format: "hcl", text }
      : { name: `${i}.json`, format: "json", text: JSON.stringify(text) }
  );
  return loadConfig({ files, fragments: flags.fragments, flags, dev: flags.dev, host });
}

function loadFine(texts: (string | object)[], args: string[] = ["-data-dir", "/d"]) {
  const loaded = load(texts, args);
  expect(loaded.errors).toEqual([]);
  return loaded.config!;
}

describe("merging", () => {
  test("a later file wins over an earlier one, a flag over files, a fragment over flags", () => {
    const files = ['log_level = "WARN"\ndatacenter = "a"\ndomain = "x"', { datacenter: "b" }];
    const config = loadFine(files, ["-data-dir=/d", "-domain=y", "-hcl", 'domain = "z"']);
    expect(config.log.level).toBe("warn");
    expect(config.node.datacenter).toBe("b");
    expect(config.dns.domain).toBe("z.");
  });

  test("lists grow: those of flags first, of fragments last", () => {
    const config = loadFine(['retry_join = ["b"]', { retry_join: ["c"] }], [
      "-data-dir=/d",
      "-retry-join=a",
      "-hcl",
      'retry_join = ["d"]',
    ]);
    expect(config.gossip.lan.retryJoin).toEqual(["a", "b", "c", "d"]);
  });

  test("maps merge by key, nested objects by field", () => {
    const config = loadFine([
      'node_meta { a = "1" b = "1" }\nports { http = 1 }',
      { node_meta: { b: "2" }, ports: { dns: 2 } },
    ]);
    expect(config.node.meta).toEqual({ a: "1", b: "2" });
    expect([config.ports.http, config.ports.dns, config.ports.server]).toEqual([1, 2, 8300]);
  });

  test("service blocks of all files are kept, singular ones after the plural of their file", () => {
    const config = loadFine([
      'service { name = "one" }\nservices { name = "two" }\nservices { name = "three" }',
      { service: { name: "four" } },
    ]);
    expect(config.services.map(({ name }) => name)).toEqual(["two", "three", "one", "four"]);
  });

  test("an explicit false and zero count as set", () => {
    const config = loadFine(["leave_on_terminate = false", { leave_on_terminate: null }]);
    expect(config.leave.onTerminate).toBe(false);
  });

  test("a list of one stands for the value itself", () => {
    expect(loadFine([{ client_addr: ["127.0.0.2"] }]).addresses.client).toEqual(["127.0.0.2"]);
  });
});

describe("defaults", () => {
  test("a server and a client leave differently", () => {
    const server = loadFine(["server = true"]);
    const client = loadFine([]);
    expect(server.leave).toEqual({ onTerminate: false, skipOnInterrupt: true });
    expect(client.leave).toEqual({ onTerminate: true, skipOnInterrupt: false });
    expect([server.ports.grpcTls, client.ports.grpcTls]).toEqual([8503, -1]);
  });

  test("the only private address is advertised when every address is bound", () => {
    const config = loadFine([]);
    expect(config.addresses.advertise).toBe("10.0.0.5");
    expect(config.addresses.tagged).toEqual({
      lan: "10.0.0.5",
      wan: "10.0.0.5",
      lan_ipv4: "10.0.0.5",
      wan_ipv4: "10.0.0.5",
    });
  });

  test("-dev is a bootstrapped server on loopback that keeps nothing", () => {
    const config = loadFine([], ["-dev"]);
    expect(config.server && config.bootstrap && config.dev).toBe(true);
    expect(config.addresses.bind).toBe("127.0.0.1");
    expect([config.dataDir, config.runDir]).toEqual(["/tmp/dev/data", "/tmp/dev"]);
    expect([config.ports.grpc, config.log.level, config.ui.enabled]).toEqual([8502, "debug", true]);
  });

  test("files win over what -dev sets", () => {
    expect(loadFine(['log_level = "INFO"'], ["-dev"]).log.level).toBe("info");
  });
});

describe("complaints", () => {
  const refusals: [what: string, given: string | object, text: string | RegExp][] = [
    ["two unknown keys", { a: 1, ports: { b: 2 } }, /^failed to parse 0.json: 2 errors occurred:/],
    [
      "an unknown key in a list",
      { services: [{ nme: "x" }] },
      /invalid config key services\[0\].nme/,
    ],
    [
      "a wrong type",
      { ports: { dns: "x" } },
      "failed to parse 0.json: 1 error(s) decoding:\n\n* 'ports.dns' expected type 'int', got " +
      "unconvertible type 'string', value: 'x'",
    ],
    [
      "a negative unsigned number",
      { autopilot: { min_quorum: -1 } },
      /\* cannot parse 'autopilot.min_quorum', -1.000000 overflows uint$/,
    ],
    [
      "broken HCL",
      "a = [",
      /^failed to parse 0.hcl: At 1:\d+: unexpected token while parsing list/,
    ],
    ["a segment", { segment: "x" }, /Network segments are not supported/],
    ["a port out of range", { ports: { http: 70000 } }, /ports.http: invalid port: 70000/],
    ["two bad durations", { retry_interval: "x", reconnect_timeout: "y" }, /^2 errors occurred:/],
  ];
  for (const [what, given, text] of refusals) {
    test(what, () => {
      const { errors, config } = load([given], ["-data-dir=/d"]);
      expect(config).toBeUndefined();
      expect(errors).toHaveLength(1);
      if (typeof text === "string") expect(errors[0]).toBe(text);
      else expect(errors[0]).toMatch(text);
    });
  }

  test("keys that nothing serves are named, others are not", () => {
    const { notServed } = load(['acl { enabled = true }\nnode_name = "x"'], ["-data-dir=/d"]);
    expect(notServed).toEqual(["acl.enabled"]);
  });

  test("internal keys are set back", () => {
    expect(loadFine(['check_reap_interval = "1ms"']).checks.reapIntervalMs).toBe(30_000);
  });
});

test("a service's definition is complete, with Consul's defaults and aliases", () => {
  const [service] = loadFine([`
    service {
      name = "web"
      weights { passing = 3 }
      tagged_addresses { lan { address = "10.1.1.1" port = 80 } }
      check { http = "http://x" interval = "1500ms" header { A = ["b", "c"] } }
      checks = [{ scriptargs = ["true"], interval = "1s", failures_before_critical = 2 }]
    }
  `]).services;
  expect(service!.id).toBe("web");
  expect(service!.weights).toEqual({ passing: 3, warning: 1 });
  expect(service!.taggedAddresses).toEqual({ lan: { address: "10.1.1.1", port: 80 } });
  const [script, http] = service!.checks;
  expect([script!.args, script!.failuresBeforeWarning]).toEqual([["true"], 2]);
  expect([http!.intervalMs, http!.header]).toEqual([1500, { A: ["b", "c"] }]);
});

test("templates, recursors and TTLs are resolved", () => {
  const config = loadFine([`
    bind_addr = "{{ GetInterfaceIP \\"eth0\\" }}"
    recursors = ["8.8.8.8", "8.8.8.8:53", "[2001:db8::1]:5353"]
    dns_config { service_ttl { "*" = "5s" web = "1m" } }
  `]);
  expect(config.addresses.bind).toBe("10.0.0.5");
  expect(config.dns.recursors).toEqual(["8.8.8.8:53", "[2001:db8::1]:5353"]);
  expect(config.dns.serviceTtlMs).toEqual({ "*": 5000, web: 60_000 });
});

test("specific TLS stanzas fall back to the defaults, key by key", () => {
  const { tls } = loadFine([`
    verify_incoming = true
    tls { defaults { ca_file = "ca" cert_file = "c" } internal_rpc { cert_file = "own"
      verify_server_hostname = true } }
  `]);
  expect([tls.internalRpc.caFile, tls.internalRpc.certFile]).toEqual(["ca", "own"]);
  expect([tls.internalRpc.verifyOutgoing, tls.https.verifyIncoming]).toEqual([true, true]);
  expect(tls.grpc.verifyIncoming).toBe(false);
});

test("the hash follows the content and nothing else", () => {
  const config = loadFine(['node_name = "a"']);
  expect(loadFine([{ node_name: "a" }]).hash).toBe(config.hash);
  expect(loadFine([{ node_name: "b" }]).hash).not.toBe(config.hash);
  expect(seal(JSON.parse(JSON.stringify(config))).hash).toBe(config.hash);
  expect(canonicalJson({ b: 1, a: [{ d: 1, c: 2 }] })).toBe('{"a":[{"c":2,"d":1}],"b":1}');
});

test("a daemon gets its own groups", () => {
  const part = daemonConfig("dnsd", loadFine([]));
  expect(part.dns.domain).toBe("consul.");
  expect(Object.keys(part)).not.toContain("gossip");
});
