// /v1/status/, /v1/operator/raft/, autopilot, usage (spec: http-api 5.1, 5.13).

import { DocumentVerb } from "#proto/messages.js";
import { Raft, State } from "#proto/services.ts";
import type { BusClient } from "#shared/bus/client.ts";
import { formatDuration } from "#shared/consul/duration.ts";
import { jsonAnswer } from "../../core/answer.ts";
import { HttpError } from "../../core/http-error.ts";
import { bool, duration, type Fields, int, object, text, uint64 } from "../../core/json-schema.ts";
import { type JsonFields, writeJson } from "../../core/json-writer.ts";
import { parseUint } from "../../core/params.ts";
import { toJson } from "../../core/bodies/proxy.ts";
import { readJson } from "../../core/json-reader.ts";
import type { Call, Route } from "../call.ts";
import type { ReadRoutes } from "../read-route.ts";
import type { Writes } from "../writes.ts";

export interface RaftDaemons {
  readRoutes: ReadRoutes;
  writes: Writes;
  state: BusClient;
  datacenter: string;
}

export function statusRoutes({ readRoutes, state }: RaftDaemons): Route[] {
  const ask = (call: Call) => {
    const { datacenter, token } = readRoutes.optionsOf(call);
    return state.of(Raft).leader({}, { datacenter, token });
  };
  const route = (path: string, methods: Route["methods"]): Route => {
    return { path: `/v1/status/${path}`, methods, acl: "none", enterprise: "none" };
  };
  return [
    route("leader", { GET: async (call) => call.json((await ask(call)).address) }),
    route("peers", { GET: async (call) => call.json((await ask(call)).peers) }),
  ];
}

export function raftRoutes(daemons: RaftDaemons): Route[] {
  const { readRoutes, state } = daemons;
  const configuration = async (call: Call) => {
    const { datacenter, token, mode } = readRoutes.optionsOf(call);
    const reply = await state.of(Raft).getConfiguration({}, {
      datacenter,
      token,
      consistency: mode,
    });
    const servers = reply.servers.map((server) => ({
      ID: server.id,
      Node: server.node || "(unknown)",
      Address: server.address,
      Leader: server.leader,
      ProtocolVersion: server.protocolVersion || "unknown",
      Voter: server.voter,
      LastIndex: server.lastIndex,
    }));
    return call.json({ Servers: servers, Index: 0 });
  };
  const removePeer = async (call: Call) => {
    const { datacenter, token } = readRoutes.optionsOf(call);
    const id = call.query.get("id"), address = call.query.get("address");
    if (id === "" && address === "") {
      throw new HttpError(
        400,
        "Must specify either ?id with the server's ID or ?address with IP:port of peer to remove",
      );
    }
    if (id !== "" && address !== "") {
      throw new HttpError(400, "Must specify only one of ?id or ?address");
    }
    const { servers } = await state.of(Raft).getConfiguration({}, { datacenter, token });
    const isKnown = servers.some((server) =>
      id !== "" ? server.id === id : server.address === address
    );
    if (!isKnown) {
      const named = id !== "" ? `id "${id}"` : `address "${address}"`;
      throw new HttpError(500, `${named} was not found in the Raft configuration`);
    }
    await state.of(Raft).removePeer({ id, address }, { datacenter, token, target: "leader" });
    return emptyText;
  };
  const transfer = async (call: Call) => {
    const { datacenter, token } = readRoutes.optionsOf(call);
    const id = call.query.get("id");
    try {
      await state.of(Raft).transferLeader({ id }, { datacenter, token, target: "leader" });
    } catch (error) {
      throw new HttpError(500, error instanceof Error ? error.message : String(error));
    }
    return call.json({ Success: true });
  };
  const route = (path: string, methods: Route["methods"], acl: string): Route => {
    return { path: `/v1/operator/${path}`, methods, acl, enterprise: "none" };
  };
  return [
    route("raft/configuration", { GET: configuration }, "operator:read"),
    route("raft/peer", { DELETE: removePeer }, "operator:write"),
    route("raft/transfer-leader", { POST: transfer }, "operator:write"),
    ...autopilotRoutes(daemons),
    route(
      "usage",
      { GET: readRoutes.handler((call) => usagePlan(call, daemons)) },
      "operator:read",
    ),
  ];
}

const emptyText = { status: 200, contentType: "text/plain; charset=utf-8", headers: "", body: "" };

// ---- autopilot

const autopilotSchema = object("AutopilotConfiguration", {
  fields: {
    CleanupDeadServers: bool,
    LastContactThreshold: duration,
    MaxTrailingLogs: int,
    MinQuorum: int,
    ServerStabilizationTime: duration,
    RedundancyZoneTag: text,
    DisableUpgradeMigration: bool,
    UpgradeVersionTag: text,
    CreateIndex: uint64,
    ModifyIndex: uint64,
  },
});

function autopilotFields(given: Fields): JsonFields {
  const ns = (name: string, standard: bigint) =>
    formatDuration((given[name] as bigint | undefined) ?? standard);
  return {
    CleanupDeadServers: (given.CleanupDeadServers ?? true) as boolean,
    LastContactThreshold: ns("LastContactThreshold", 200_000_000n),
    MaxTrailingLogs: (given.MaxTrailingLogs ?? 250) as number,
    MinQuorum: (given.MinQuorum ?? 0) as number,
    ServerStabilizationTime: ns("ServerStabilizationTime", 10_000_000_000n),
    RedundancyZoneTag: (given.RedundancyZoneTag ?? "") as string,
    DisableUpgradeMigration: (given.DisableUpgradeMigration ?? false) as boolean,
    UpgradeVersionTag: (given.UpgradeVersionTag ?? "") as string,
  };
}

function autopilotRoutes({ readRoutes, writes, state }: RaftDaemons): Route[] {
  const get = async (call: Call) => {
    const { datacenter, token, mode } = readRoutes.optionsOf(call);
    const query = { documents: { kind: "autopilot-config", id: "autopilot" } };
    const reply = await state.of(State).read({ query }, { datacenter, token, consistency: mode });
    const [row] = reply.documents;
    const stored = row === undefined
      ? {}
      : toJson(readJson(Buffer.from(row.bodyJson).toString("utf8")));
    const known = stored instanceof Map ? Object.fromEntries(stored) as JsonFields : {};
    return call.json({
      ...autopilotFields({}),
      ...known,
      CreateIndex: row?.createIndex ?? 0,
      ModifyIndex: row?.modifyIndex ?? 0,
    });
  };
  const put = async (call: Call) => {
    const options = readRoutes.optionsOf(call);
    const body = await call.jsonBody(autopilotSchema, "Error parsing autopilot config: ");
    const bodyJson = Buffer.from(writeJson(autopilotFields(body)));
    const document = { kind: "autopilot-config", id: "autopilot", bodyJson };
    const hasCas = call.query.has("cas");
    const index = hasCas ? Number(casOf(call)) : 0;
    const verb = hasCas ? DocumentVerb.DOCUMENT_CAS : DocumentVerb.DOCUMENT_SET;
    const { ok } = await writes.apply({ document: { verb, document, index } }, options);
    return call.json(hasCas ? ok : true);
  };
  const health = async (call: Call) => {
    const { datacenter, token } = readRoutes.optionsOf(call);
    const reply = await state.of(Raft).autopilotHealth({}, { datacenter, token });
    const body = Buffer.from(reply.bodyJson).toString("utf8");
    const isHealthy = /^\{"Healthy":true/.test(body);
    return { ...jsonAnswer(call.jsonText(body)), status: isHealthy ? 200 : 429 };
  };
  const stateOf = async (call: Call) => {
    const { datacenter, token } = readRoutes.optionsOf(call);
    const reply = await state.of(Raft).autopilotHealth({}, { datacenter, token });
    const body = Buffer.from(reply.stateJson).toString("utf8");
    if (/"Servers":\{\}/.test(body)) {
      throw new HttpError(500, "Failed to get autopilot state: no state found");
    }
    return jsonAnswer(call.jsonText(body));
  };
  const route = (path: string, methods: Route["methods"], acl: string): Route => {
    return { path: `/v1/operator/autopilot/${path}`, methods, acl, enterprise: "none" };
  };
  return [
    route("configuration", { GET: get, PUT: put }, "operator:read, write"),
    route("health", { GET: health }, "operator:read"),
    route("state", { GET: stateOf }, "operator:read"),
  ];
}

function casOf(call: Call): bigint {
  try {
    return parseUint(call.query.get("cas"));
  } catch (error) {
    throw new HttpError(400, `Error parsing cas value: ${(error as Error).message}`);
  }
}

// ---- usage

const meshKinds = [
  "connect-proxy",
  "connect-native",
  "ingress-gateway",
  "mesh-gateway",
  "terminating-gateway",
  "api-gateway",
];

function usagePlan(call: Call, { datacenter }: RaftDaemons) {
  return {
    key: `operator usage ${call.layout}`,
    query: { nodeDump: {} },
    showsConsistency: true,
    render: (reply: import("#proto/messages.js").ReadReply) => {
      const kinds: Record<string, number> = {};
      for (const kind of meshKinds) kinds[kind] = 0;
      const names = new Set<string>();
      let billable = 0;
      for (const service of reply.nodeServices) {
        names.add(service.service);
        if (service.kind in kinds) kinds[service.kind]!++;
        else if (service.service !== "consul") billable++;
        if (Buffer.from(service.connectJson).includes('"Native":true')) kinds["connect-native"]!++;
      }
      const usage = {
        Services: names.size,
        ServiceInstances: reply.nodeServices.length,
        ConnectServiceInstances: new Map(Object.entries(kinds)),
        BillableServiceInstances: billable,
        Nodes: reply.nodes.length,
      };
      return call.json({
        Usage: new Map([[datacenter, usage]]),
        Index: reply.meta?.index ?? 1,
        LastContact: 0,
        KnownLeader: true,
        ConsistencyLevel: "leader",
        NotModified: false,
        Backend: 0,
        ResultsFilteredByACLs: false,
      });
    },
  };
}
