// The node itself: self, host, version, members, join, leave, reload (spec: http-api 5.2).

import {
  cpus,
  freemem,
  hostname,
  loadavg,
  platform,
  release as kernel,
  totalmem,
  uptime,
} from "node:os";
import { existsSync } from "node:fs";
import { statfs } from "node:fs/promises";
import { Control, Gossip, Raft } from "#proto/services.ts";
import type { BusClient } from "#shared/bus/client.ts";
import { socketPath } from "#shared/config/socket-path.ts";
import type { EffectiveConfig } from "#shared/config/types.ts";
import { toCuriaError } from "#shared/errors.ts";
import { type Answer, emptyAnswer } from "../../../core/answer.ts";
import { memberShape } from "../../../core/filter/shapes.ts";
import { HttpError } from "../../../core/http-error.ts";
import type { Json } from "../../../core/json-writer.ts";
import { debugConfig } from "../../../core/render/debug-config.ts";
import { renderSelf } from "../../../core/render/agent.ts";
import { renderMember } from "../../../core/render/rows.ts";
import type { Call, Handler, Route } from "../../call.ts";
import type { ReadRoutes } from "../../read-route.ts";
import { filterOf } from "../row-options.ts";

export interface NodeDaemons {
  readRoutes: ReadRoutes;
  gossip: BusClient;
  state: BusClient;
  /** The supervisor of this node's daemons. */
  supervisor: BusClient;
  daemons: ReadonlyMap<string, BusClient>;
  config: EffectiveConfig;
  release: string;
}

/** Both pools take up to 13 s to tell all who must know. */
const leaveTimeoutMs = 15_000;

export function nodeRoutes(daemons: NodeDaemons): Route[] {
  const route = (path: string, method: string, handler: Handler, acl: string): Route => {
    return { path: `/v1/agent/${path}`, methods: { [method]: handler }, acl, enterprise: "none" };
  };
  const version: Handler = (call) =>
    call.json({
      SHA: "",
      BuildDate: "1970-01-01T00:00:01Z",
      HumanVersion: daemons.config.node.consulVersion,
      FIPS: "",
    });
  return [
    route("self", "GET", (call) => self(call, daemons), "agent:read"),
    route("host", "GET", (call) => host(call, daemons), "operator:read"),
    route("version", "GET", version, "none"),
    {
      ...route("members", "GET", (call) => members(call, daemons), "filtered"),
      enterprise: "partition",
    },
    route("join/", "PUT", (call) => join(call, daemons), "agent:write"),
    route("leave", "PUT", () => leave(daemons), "agent:write"),
    route("force-leave/", "PUT", (call) => forceLeave(call, daemons), "operator:write"),
    route("reload", "PUT", () => reload(daemons), "agent:write"),
    route("token/", "PUT", token(daemons), "agent:write"),
  ];
}

async function self(call: Call, { gossip, state, config, release }: NodeDaemons): Promise<Answer> {
  const gossipd = gossip.of(Gossip);
  const [lan, coordinates, raft] = await Promise.allSettled([
    gossipd.members({}, { timeoutMs: 2_000 }),
    gossipd.coordinates({}, { timeoutMs: 2_000 }),
    config.server ? state.of(Raft).stats({}, { timeoutMs: 2_000 }) : Promise.reject(),
  ]);
  const { node, ports } = config;
  const list = lan.status === "fulfilled" ? lan.value.members : [];
  const own = coordinates.status === "fulfilled"
    ? coordinates.value.coordinates.find((at) => at.coordinate?.node === node.name)?.coordinate
    : undefined;
  const stats = raft.status === "fulfilled" ? raft.value : undefined;
  const isLeader = stats?.state === "Leader";
  return call.json(renderSelf({
    datacenter: node.datacenter,
    primaryDatacenter: config.node.primaryDatacenter || node.datacenter,
    node: node.name,
    nodeId: node.id,
    isServer: config.server,
    version: node.consulVersion,
    meta: node.meta,
    debugConfig: debugConfig(config),
    coordinate: own ?? undefined,
    member: list.find((member) => member.name === node.name),
    grpcPorts: { plaintext: ports.grpc, tls: ports.grpcTls },
    stats: {
      agent: { check_monitors: "0", check_ttls: "0", checks: "0", services: "0" },
      build: { prerelease: "", revision: "", version: node.consulVersion, curia: release },
      consul: {
        bootstrap: String(config.bootstrap),
        known_datacenters: "1",
        leader: String(isLeader),
        leader_addr: stats?.leaderId ?? "",
        server: String(config.server),
      },
      raft: stats === undefined ? {} : {
        applied_index: String(stats.appliedIndex),
        commit_index: String(stats.commitIndex),
        last_contact: isLeader ? "0" : `${stats.lastContactMs}ms`,
        last_log_index: String(stats.lastLogIndex),
        last_log_term: String(stats.lastLogTerm),
        last_snapshot_index: String(stats.snapshotIndex),
        last_snapshot_term: String(stats.snapshotTerm),
        num_peers: String(stats.peers),
        protocol_version: "3",
        state: stats.state,
        term: String(stats.term),
      },
      runtime: runtime(),
      serf_lan: {
        members: String(list.length),
        failed: String(list.filter((member) => member.status === 4).length),
        left: String(list.filter((member) => member.status === 3).length),
        encrypted: String(lan.status === "fulfilled" && lan.value.encrypted),
      },
    },
  }));
}

function runtime(): Record<string, string> {
  return {
    arch: process.arch === "x64" ? "amd64" : process.arch,
    cpu_count: String(cpus().length),
    max_procs: String(cpus().length),
    os: platform(),
    version: `bun ${Bun.version}`,
  };
}

async function host(call: Call, { config }: NodeDaemons): Promise<Answer> {
  const errors: string[] = [];
  let disk: Json = null;
  try {
    const { bsize, blocks, bavail } = await statfs(config.dataDir || "/");
    const total = bsize * blocks, free = bsize * bavail;
    disk = {
      path: config.dataDir || "/",
      total,
      free,
      used: total - free,
      usedPercent: total === 0 ? 0 : (total - free) / total * 100,
    };
  } catch (error) {
    errors.push((error as Error).message);
  }
  const total = totalmem(), free = freemem();
  return call.json({
    Memory: {
      total,
      available: free,
      used: total - free,
      usedPercent: (total - free) / total * 100,
      free,
    },
    CPU: cpus().map((cpu, i) => ({ cpu: i, modelName: cpu.model, mhz: cpu.speed, cores: 1 })),
    Host: {
      hostname: hostname(),
      uptime: Math.floor(uptime()),
      bootTime: Math.floor(Date.now() / 1000 - uptime()),
      os: platform(),
      kernelVersion: kernel(),
      load1: loadavg()[0],
    },
    Disk: disk,
    CollectionTime: BigInt(Date.now()) * 1_000_000n,
    Errors: errors.length === 0 ? null : errors,
  });
}

async function members(call: Call, { gossip, readRoutes }: NodeDaemons): Promise<Answer> {
  const { query } = call;
  // Presence is not enough here: `?wan` without a value lists the LAN pool.
  const wan = query.get("wan") !== "";
  const segment = query.get("segment");
  if (wan && segment !== "" && segment !== "_all") {
    throw new HttpError(400, "Cannot provide a segment with wan=true");
  }
  if (segment !== "" && segment !== "_all" && segment !== "default") {
    throw new HttpError(500, "Network segments are not supported in this version of Consul");
  }
  const keep = filterOf(call, memberShape);
  const { token } = readRoutes.optionsOf(call);
  const list = await gossip.of(Gossip).members({ wan }, { token });
  return call.json(list.members.map(renderMember).filter(keep));
}

async function join(call: Call, { gossip, readRoutes }: NodeDaemons): Promise<Answer> {
  const wan = call.query.get("wan") !== "";
  const { token } = readRoutes.optionsOf(call);
  const reply = await gossip.of(Gossip).join({ addresses: [call.rest], wan }, { token });
  if (reply.joined === 0) {
    const lines = reply.errors.map((error) => `\n\t* ${error}`).join("");
    const noun = reply.errors.length === 1 ? "error" : "errors";
    throw new HttpError(500, `${reply.errors.length} ${noun} occurred:${lines}\n\n`);
  }
  return emptyAnswer;
}

async function forceLeave(call: Call, { gossip, readRoutes }: NodeDaemons): Promise<Answer> {
  const { query, rest } = call;
  const request = { node: rest, prune: query.has("prune"), wan: query.has("wan") };
  const { token } = readRoutes.optionsOf(call);
  try {
    await gossip.of(Gossip).forceLeave(request, { token });
  } catch (error) {
    throw new HttpError(500, error instanceof Error ? error.message : String(error));
  }
  return emptyAnswer;
}

/** Leaves the pools, then has the supervisor end the node, when there is one. */
async function leave({ gossip, state, supervisor, config }: NodeDaemons): Promise<Answer> {
  if (config.server) {
    // With nobody to hand over to there is nothing to do.
    await state.of(Raft).handOver({}, { timeoutMs: 2_000 }).catch(() => {});
  }
  await gossip.of(Gossip).leave({}, { timeoutMs: leaveTimeoutMs });
  supervisor.of(Control).stop({}, { timeoutMs: 2_000 }).catch(() => {});
  return emptyAnswer;
}

/** By the supervisor where there is one; else each daemon by itself. */
async function reload(node: NodeDaemons): Promise<Answer> {
  const { config, supervisor, daemons } = node;
  const isSupervised = existsSync(socketPath(config, "agent"));
  const clients = isSupervised ? [supervisor] : [...daemons.values()];
  const timeoutMs = isSupervised ? 10_000 : 2_000;
  const reloads = await Promise.allSettled(
    clients.map((client) => client.of(Control).reload({}, { timeoutMs })),
  );
  for (const reloaded of reloads) {
    if (reloaded.status === "fulfilled") continue;
    const { code, message } = toCuriaError(reloaded.reason);
    if (isSupervised || code !== "unavailable") throw new HttpError(500, message);
  }
  return emptyAnswer;
}

function token({ config }: NodeDaemons): Handler {
  return () => {
    if (!config.acl.enabled) throw new HttpError(401, "ACL support disabled");
    throw new HttpError(501, "Setting tokens is not served yet by this release of Curia");
  };
}
