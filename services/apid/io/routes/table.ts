// Every route of Consul's: what is served, and what is still to come and says so with a 501.

import type { BusClient } from "#shared/bus/client.ts";
import type { EffectiveConfig } from "#shared/config/types.ts";
import { HttpError } from "../../core/http-error.ts";
import type { EnterpriseCheck } from "../../core/params.ts";
import { type ApiLines, type Handler, later, type Route } from "../call.ts";
import type { ReadRoutes } from "../read-route.ts";
import type { Writes } from "../writes.ts";
import { agentServiceRoutes } from "./agent/services.ts";
import { metricsRoutes, type NodeMetrics } from "./agent/metrics.ts";
import { monitorRoutes } from "./agent/monitor.ts";
import { nodeRoutes } from "./agent/node.ts";
import { catalogRoutes } from "./catalog.ts";
import { connectRoutes } from "./connect.ts";
import { coordinateRoutes } from "./coordinate.ts";
import { documentRoutes } from "./documents.ts";
import { eventRoutes } from "./event.ts";
import { datacenterRoutes } from "./datacenters.ts";
import { healthRoutes } from "./health.ts";
import { keyringRoutes } from "./keyring.ts";
import { kvRoutes } from "./kv.ts";
import { sessionRoutes } from "./session.ts";
import { snapshotRoutes } from "./snapshot.ts";
import { raftRoutes, statusRoutes } from "./status.ts";
import { txnRoutes } from "./txn.ts";
import { uiRoutes } from "./internal-ui.ts";

export interface Daemons {
  config: EffectiveConfig;
  release: string;
  readRoutes: ReadRoutes;
  writes: Writes;
  state: BusClient;
  checkd: BusClient;
  gossip: BusClient;
  cad: BusClient;
  supervisor: BusClient;
  /** By name: every daemon of this node, for logs and metrics. */
  daemons: ReadonlyMap<string, BusClient>;
  metrics: NodeMetrics;
  lines: ApiLines;
}

export function routeTable(all: Daemons): Route[] {
  const { config, readRoutes, writes, state } = all;
  const { datacenter, name: node } = config.node;
  const { kvMaxValueSize: valueBytesMax, txnMaxReqLen: bodyBytesMax } = config.limits;
  const { defaultQueryTimeMs: defaultWaitMs, maxQueryTimeMs: maxWaitMs } = config.http;
  return [
    ...statusRoutes({ readRoutes, writes, state, datacenter }),
    ...raftRoutes({ readRoutes, writes, state, datacenter }),
    ...kvRoutes({ readRoutes, writes, valueBytesMax }),
    ...catalogRoutes({ readRoutes, writes, node, datacenter }),
    ...datacenterRoutes({
      readRoutes,
      state,
      datacenter,
      useCache: config.http.useCache,
    }),
    ...healthRoutes({ readRoutes, node, datacenter }),
    ...sessionRoutes({
      readRoutes,
      writes,
      state,
      node,
      isServer: config.server,
      ttlMinMs: config.sessionTtlMinMs,
    }),
    ...txnRoutes({ readRoutes, writes, state, datacenter, bodyBytesMax, valueBytesMax }),
    ...eventRoutes({ readRoutes, gossip: all.gossip, state, datacenter }),
    ...keyringRoutes({ readRoutes, state, datacenter }),
    ...coordinateRoutes({
      readRoutes,
      writes,
      state,
      isDisabled: config.disableCoordinates,
    }),
    ...agentServiceRoutes({ readRoutes, checkd: all.checkd, datacenter }),
    ...nodeRoutes(all),
    ...monitorRoutes(all),
    ...metricsRoutes(all.metrics),
    ...connectRoutes({
      readRoutes,
      cad: all.cad,
      isEnabled: config.connect.enabled,
      defaultWaitMs,
      maxWaitMs,
    }),
    ...snapshotRoutes({ state, datacenter, lines: all.lines }),
    ...uiRoutes({ readRoutes, datacenter, isUiEnabled: config.ui.enabled }),
    ...documentRoutes({ readRoutes }),
    ...aclRoutes(config.acl.enabled),
    ...laterRoutes(),
  ];
}

function row(
  path: string,
  methods: string,
  handler: Handler,
  acl: string,
  enterprise: EnterpriseCheck = "none",
): Route {
  const byMethod = Object.fromEntries(methods.split(" ").map((method) => [method, handler]));
  return { path, methods: byMethod, acl, enterprise };
}

/** While ACLs are off, each of these says so; the rest is to come. */
function aclRoutes(isEnabled: boolean): Route[] {
  const acl: Handler = (call) => {
    if (!isEnabled) throw new HttpError(401, "ACL support disabled");
    return later("the ACL system")(call);
  };
  const routes: [string, string][] = [
    ["bootstrap", "PUT"],
    ["replication", "GET"],
    ["login", "POST"],
    ["logout", "POST"],
    ["tokens", "GET"],
    ["token", "PUT"],
    ["token/self", "GET"],
    ["token/", "GET PUT DELETE"],
    ["policies", "GET"],
    ["policy", "PUT"],
    ["policy/name/", "GET"],
    ["policy/", "GET PUT DELETE"],
    ["roles", "GET"],
    ["role", "PUT"],
    ["role/name/", "GET"],
    ["role/", "GET PUT DELETE"],
    ["auth-methods", "GET"],
    ["auth-method", "PUT"],
    ["auth-method/", "GET PUT DELETE"],
    ["binding-rules", "GET"],
    ["binding-rule", "PUT"],
    ["binding-rule/", "GET PUT DELETE"],
    ["templated-policies", "GET"],
    ["templated-policy/name/", "GET"],
    ["templated-policy/preview/", "POST"],
  ];
  return [
    ...routes.map(([path, methods]) => row(`/v1/acl/${path}`, methods, acl, "acl")),
    row("/v1/internal/acl/authorize", "POST", acl, "any token"),
  ];
}

function laterRoutes(): Route[] {
  const queries = later("prepared queries");
  const entries = later("configuration entries");
  const intentions = later("intentions");
  const federation = later("federation through mesh gateways");
  const profiles = (): Handler => () => ({ status: 404, contentType: "", headers: "", body: "" });
  return [
    row("/v1/query", "GET POST", queries, "query"),
    row("/v1/query/", "GET PUT DELETE", queries, "query"),
    row("/v1/config", "PUT", entries, "by kind", "both"),
    row("/v1/config/", "GET DELETE", entries, "by kind", "both"),
    row("/v1/connect/intentions", "GET POST", intentions, "intentions", "both"),
    row("/v1/connect/intentions/match", "GET", intentions, "intentions", "both"),
    row("/v1/connect/intentions/check", "GET", intentions, "intentions", "both"),
    row("/v1/connect/intentions/exact", "GET PUT DELETE", intentions, "intentions", "both"),
    row("/v1/connect/intentions/", "GET PUT DELETE", intentions, "intentions", "both"),
    row("/v1/discovery-chain/", "GET POST", later("the discovery chain"), "service:read", "both"),
    row("/v1/internal/service-virtual-ip", "PUT", later("manual virtual IPs"), "mesh:write"),
    row("/v1/internal/federation-states/mesh-gateways", "GET", federation, "operator:read"),
    row("/debug/pprof/", "GET POST", profiles(), "operator:read"),
  ];
}
