// /v1/internal/ui/: what the web UI and some tools read (spec: http-api 5.20).

import type { Check, ReadReply, Service } from "#proto/messages.js";
import { HttpError } from "../../core/http-error.ts";
import type { Json } from "../../core/json-writer.ts";
import { nodeShape, serviceShape } from "../../core/filter/shapes.ts";
import { renderCheck, renderNode, renderService } from "../../core/render/catalog.ts";
import { type Call, later, type Route } from "../call.ts";
import type { ReadRoutes } from "../read-route.ts";
import type { ReadPlan } from "../reads/plan.ts";
import { filterOf, renderKey } from "./row-options.ts";

export interface UiDaemons {
  readRoutes: ReadRoutes;
  datacenter: string;
  isUiEnabled: boolean;
}

export function uiRoutes(daemons: UiDaemons): Route[] {
  const { readRoutes } = daemons;
  const route = (path: string, get: Route["methods"][string], acl: string): Route => {
    return { path: `/v1/internal/ui/${path}`, methods: { GET: get }, acl, enterprise: "both" };
  };
  return [
    route("nodes", readRoutes.handler((call) => nodesPlan(call, daemons)), "filtered"),
    route("node/", readRoutes.handler((call) => nodePlan(call, daemons)), "node:read"),
    route("services", readRoutes.handler((call) => servicesPlan(call, daemons)), "filtered"),
    route("catalog-overview", readRoutes.handler(overviewPlan), "operator:read"),
    route("exported-services", later("peering"), "mesh:read"),
    route("gateway-services-nodes/", later("gateways"), "service:read"),
    route("gateway-intentions/", later("gateways"), "service:read"),
    route("service-topology/", later("service topology"), "service:read"),
    route("metrics-proxy/", () => {
      throw new HttpError(
        404,
        daemons.isUiEnabled ? "Metrics proxy is not enabled" : "UI is not enabled",
      );
    }, "none"),
  ];
}

interface Dump {
  node: ReadReply["nodes"][number];
  services: Service[];
  checks: Check[];
}

function dumpOf(reply: ReadReply): Dump[] {
  const byNode = new Map<string, Dump>();
  for (const node of reply.nodes) {
    byNode.set(node.node.toLowerCase(), { node, services: [], checks: [] });
  }
  for (const service of reply.nodeServices) {
    byNode.get(service.node.toLowerCase())?.services.push(service);
  }
  for (const check of reply.checks) byNode.get(check.node.toLowerCase())?.checks.push(check);
  return [...byNode.values()];
}

function renderDump({ node, services, checks }: Dump, datacenter: string): Json {
  const shown = renderNode(node, datacenter);
  return {
    ID: shown.ID,
    Node: shown.Node,
    Address: shown.Address,
    TaggedAddresses: shown.TaggedAddresses,
    Meta: shown.Meta,
    PeerName: node.peerName,
    Services: services.map(renderService),
    Checks: checks.map(renderCheck),
  };
}

function nodesPlan(call: Call, { datacenter }: UiDaemons): ReadPlan {
  const keep = filterOf(call, nodeShape);
  return {
    key: `ui nodes ${renderKey(call)}`,
    query: { nodeDump: {} },
    render: (reply) =>
      call.json(dumpOf(reply).map((dump) => renderDump(dump, datacenter)).filter(keep)),
  };
}

function nodePlan(call: Call, { datacenter }: UiDaemons): ReadPlan {
  if (call.rest === "") throw new HttpError(400, "Missing node name");
  return {
    key: `ui node ${renderKey(call)}`,
    query: { node: { node: call.rest, withChecks: true } },
    render: (reply) => {
      const [node] = reply.nodes;
      if (node === undefined) return { status: 404, contentType: "", headers: "", body: "" };
      const { nodeServices: services, checks } = reply;
      return call.json(renderDump({ node, services, checks }, datacenter));
    },
  };
}

/** Checks that count for a service: its own, and its nodes'. */
function checksOf(service: Service, dump: Dump): Check[] {
  return dump.checks.filter((check) => check.serviceId === "" || check.serviceId === service.id);
}

function servicesPlan(call: Call, { datacenter }: UiDaemons): ReadPlan {
  const keep = filterOf(call, serviceShape);
  return {
    key: `ui services ${renderKey(call)}`,
    query: { nodeDump: {} },
    render: (reply) => {
      const byName = new Map<string, { service: Service; nodes: Set<string>; tags: Set<string> }>();
      const counts = new Map<string, Record<string, number>>();
      for (const dump of dumpOf(reply)) {
        for (const service of dump.services) {
          if (!keep(renderService(service))) continue;
          const name = service.service;
          const known = byName.get(name) ?? { service, nodes: new Set(), tags: new Set() };
          known.nodes.add(service.node);
          for (const tag of service.tags) known.tags.add(tag);
          byName.set(name, known);
          const count = counts.get(name) ?? { instances: 0, passing: 0, warning: 0, critical: 0 };
          count.instances!++;
          for (const { status } of checksOf(service, dump)) {
            if (status in count) count[status] = (count[status] ?? 0) + 1;
          }
          counts.set(name, count);
        }
      }
      return call.json([...byName].map(([name, known]): Json => {
        const count = counts.get(name)!;
        return {
          Kind: known.service.kind || undefined,
          Name: name,
          Datacenter: datacenter,
          Tags: [...known.tags],
          Nodes: [...known.nodes],
          ExternalSources: null,
          InstanceCount: count.instances,
          ChecksPassing: count.passing,
          ChecksWarning: count.warning,
          ChecksCritical: count.critical,
          GatewayConfig: {},
          TransparentProxy: false,
          ConnectNative: false,
          ConnectedWithProxy: false,
          ConnectedWithGateway: false,
        };
      }));
    },
  };
}

function overviewPlan(call: Call): ReadPlan {
  const tally = (checks: readonly (readonly Check[])[], name: string): Json => {
    const count = { passing: 0, warning: 0, critical: 0 };
    for (const list of checks) {
      if (list.some((check) => check.status === "critical")) count.critical++;
      else if (list.some((check) => check.status === "warning")) count.warning++;
      else count.passing++;
    }
    return {
      Name: name,
      Total: checks.length,
      Passing: count.passing,
      Warning: count.warning,
      Critical: count.critical,
    };
  };
  return {
    key: `ui overview ${renderKey(call)}`,
    query: { nodeDump: {} },
    render: (reply) => {
      const dumps = dumpOf(reply);
      const instances = new Map<string, Check[][]>();
      const checks = new Map<string, Check[][]>();
      for (const dump of dumps) {
        for (const service of dump.services) {
          const list = instances.get(service.service) ?? [];
          list.push(checksOf(service, dump));
          instances.set(service.service, list);
        }
        for (const check of dump.checks) {
          const list = checks.get(check.name) ?? [];
          list.push([check]);
          checks.set(check.name, list);
        }
      }
      return call.json({
        Nodes: [tally(dumps.map((dump) => dump.checks.filter((c) => c.serviceId === "")), "")],
        Services: [...instances].map(([name, lists]) => tally(lists, name)),
        Checks: [...checks].map(([name, lists]) => tally(lists, name)),
      });
    },
  };
}
