import { expect, test } from "bun:test";
import { parseAgentFlags } from "#shared/config/agent-flags.ts";
import { loadConfig } from "#shared/config/assemble.ts";
import type { HostFacts } from "#shared/config/host-facts.ts";
import { hasWan, planPool } from "./config.ts";

const host: HostFacts = {
  hostName: "box",
  interfaces: [{ name: "eth0", address: "10.0.0.5", family: 4, isLoopback: false }],
  fileDescriptorsMax: 1024,
  fallbackRunDir: "/tmp/dev",
  absolutePath: (path) => path,
  pathKind: () => "absent",
};

function configOf(text: string, args: string[] = []) {
  const flags = parseAgentFlags(["-data-dir=/d", ...args]);
  const files = [{ name: "a.hcl", format: "hcl" as const, text }];
  const { config, errors, warnings } = loadConfig({
    files,
    fragments: flags.fragments,
    flags,
    dev: flags.dev,
    host,
  });
  expect(errors).toEqual([]);
  return { config: { ...config!, node: { ...config!.node, id: "the-id" } }, warnings };
}

const plans = (text: string, args?: string[]) => {
  const { config } = configOf(text, args);
  return { lan: planPool(config, "lan"), wan: planPool(config, "wan") };
};

/** What an operator tunes, as it arrives in the machine. */
const tunable = (settings: ReturnType<typeof planPool>["settings"]) => ({
  gossipIntervalMs: settings.gossipIntervalMs,
  gossipNodes: settings.gossipNodes,
  probeIntervalMs: settings.probeIntervalMs,
  probeTimeoutMs: settings.probeTimeoutMs,
  suspicionMult: settings.suspicionMult,
  retransmitMult: settings.retransmitMult,
  reconnectTimeoutMs: settings.reconnectTimeoutMs,
});

test("every option of gossip_lan and gossip_wan arrives in its own pool", () => {
  const pool = (n: number) =>
    `{ gossip_interval = "${n}1ms" gossip_nodes = ${n}2 probe_interval = "${n}3ms"` +
    ` probe_timeout = "${n}4ms" suspicion_mult = ${n}5 retransmit_mult = ${n}6 }`;
  const { lan, wan } = plans(
    `server = true gossip_lan ${pool(1)} gossip_wan ${pool(2)}
     reconnect_timeout = "8h" reconnect_timeout_wan = "9h"`,
  );
  const expected = (n: number, hours: number) => ({
    gossipIntervalMs: n * 10 + 1,
    gossipNodes: n * 10 + 2,
    probeIntervalMs: n * 10 + 3,
    probeTimeoutMs: n * 10 + 4,
    suspicionMult: n * 10 + 5,
    retransmitMult: n * 10 + 6,
    reconnectTimeoutMs: hours * 3_600_000,
  });
  expect(tunable(lan.settings)).toEqual(expected(1, 8));
  expect(tunable(wan.settings)).toEqual(expected(2, 9));
});

test("the defaults are Consul's, not memberlist's", () => {
  const hourMs = 3_600_000;
  const { lan, wan } = plans("server = true");
  expect(tunable(lan.settings)).toEqual({
    gossipIntervalMs: 200,
    gossipNodes: 3,
    probeIntervalMs: 1_000,
    probeTimeoutMs: 500,
    suspicionMult: 4,
    retransmitMult: 4,
    reconnectTimeoutMs: 72 * hourMs,
  });
  // The count of gossip nodes is the LAN's also here.
  expect(tunable(wan.settings)).toEqual({
    gossipIntervalMs: 500,
    gossipNodes: 3,
    probeIntervalMs: 5_000,
    probeTimeoutMs: 3_000,
    suspicionMult: 6,
    retransmitMult: 4,
    reconnectTimeoutMs: 72 * hourMs,
  });
  for (const { settings } of [lan, wan]) {
    expect(settings).toMatchObject({
      tombstoneTimeoutMs: 24 * hourMs,
      deadNodeReclaimMs: 30_000,
      leavePropagateDelayMs: 3_000,
      queueDepthMin: 4_096,
      resolveConflicts: false,
      coalescePeriodMs: 0,
      userCoalescePeriodMs: 0,
    });
  }
  const dev = planPool(configOf("", ["-dev"]).config, "lan");
  expect(tunable(dev.settings)).toMatchObject({
    gossipIntervalMs: 100,
    probeIntervalMs: 100,
    probeTimeoutMs: 100,
    suspicionMult: 3,
  });
  expect([dev.snapshotPath, dev.keyringPath]).toEqual([undefined, undefined]);
});

test("a server's tags tell what it is, in both pools", () => {
  const { lan, wan } = plans(`
    server = true
    node_name = "n1"
    bootstrap_expect = 3
    ports { server = 9300 serf_wan = 9302 grpc_tls = 8503 }`);
  const tags = {
    role: "consul",
    dc: "dc1",
    segment: "",
    id: "the-id",
    vsn: "2",
    vsn_min: "2",
    vsn_max: "3",
    raft_vsn: "3",
    build: expect.stringMatching(/^1\.21\.\d+:$/),
    curia: expect.any(String),
    port: "9300",
    expect: "3",
    acls: "0",
    ft_fs: "1",
    ft_si: "1",
    grpc_tls_port: "8503",
  };
  expect(Object.fromEntries(wan.settings.tags)).toEqual(tags);
  expect(Object.fromEntries(lan.settings.tags)).toEqual({ ...tags, wan_join_port: "9302" });
  expect([lan.settings.name, wan.settings.name]).toEqual(["n1", "n1.dc1"]);
  expect([lan.bindPort, wan.bindPort]).toEqual([8301, 9302]);
});

test("a read replica says so, under both its keys", () => {
  for (const key of ["read_replica", "non_voting_server"]) {
    const { config, warnings } = configOf(`server = true ${key} = true`);
    for (const pool of ["lan", "wan"] as const) {
      const { tags } = planPool(config, pool).settings;
      expect([key, tags.get("read_replica"), tags.get("nonvoter")]).toEqual([key, "1", "1"]);
    }
    expect(warnings).toContain(
      '"read_replica (or the deprecated non_voting_server)" is a Consul Enterprise ' +
        "configuration and will have no effect",
    );
  }
  expect(plans("server = true").lan.settings.tags.has("nonvoter")).toBe(false);
});

test("a client has its own tags, and no WAN pool", () => {
  const { config } = configOf('advertise_reconnect_timeout = "15m"');
  const { tags } = planPool(config, "lan").settings;
  expect([tags.get("role"), tags.get("rc_tm"), tags.get("port")]).toEqual([
    "node",
    "15m0s",
    undefined,
  ]);
  expect(hasWan(config)).toBe(false);
  expect(hasWan(configOf("server = true ports { serf_wan = -1 }").config)).toBe(false);
});

test("what is bound and what is advertised may differ, for each pool and for IPv6", () => {
  const { lan, wan } = plans(`
    server = true
    bind_addr = "10.0.0.5"
    advertise_addr = "192.0.2.1"
    advertise_addr_wan = "2001:db8::7"
    serf_wan = "10.0.0.6"
    serf_lan_allowed_cidrs = ["192.0.2.0/24", "2001:db8::/32"]`);
  expect([lan.bindAddress, [...lan.settings.address]]).toEqual(["10.0.0.5", [192, 0, 2, 1]]);
  expect([wan.bindAddress, wan.settings.address.length]).toEqual(["10.0.0.6", 16]);
  const allowed = lan.settings.addressAllowed!;
  expect(allowed(Uint8Array.of(192, 0, 2, 77))).toBe(true);
  expect(allowed(Uint8Array.of(192, 0, 3, 77))).toBe(false);
  expect(allowed(wan.settings.address)).toBe(true);
});
