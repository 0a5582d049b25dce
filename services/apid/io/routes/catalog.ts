// /v1/catalog/ (spec: http-api 5.5).

import type { ReadReply } from "#proto/messages.js";
import {
  checkRow,
  deregisterSchema,
  nodeRow,
  registerSchema,
  serviceRow,
} from "../../core/bodies/catalog.ts";
import { nodeShape, serviceRowShape, serviceShape } from "../../core/filter/shapes.ts";
import { HttpError } from "../../core/http-error.ts";
import type { Fields } from "../../core/json-schema.ts";
import type { Json } from "../../core/json-writer.ts";
import { parseNodeMeta } from "../../core/params.ts";
import { renderNode, renderService, renderServiceRow } from "../../core/render/catalog.ts";
import { type Call, rewordEnterprise, type Route } from "../call.ts";
import { planning, type ReadRoutes } from "../read-route.ts";
import type { ReadPlan } from "../reads/plan.ts";
import type { Writes } from "../writes.ts";
import { filterOf, nearOf, renderKey, sorted } from "./row-options.ts";

export interface CatalogDaemons {
  readRoutes: ReadRoutes;
  writes: Writes;
  node: string;
  datacenter: string;
}

export function catalogRoutes(daemons: CatalogDaemons): Route[] {
  const { readRoutes, writes } = daemons;
  const read = (plan: (call: Call, daemons: CatalogDaemons) => ReadPlan) =>
    readRoutes.handler((call) => planning(true, () => plan(call, daemons)), true);
  const register = async (call: Call) => {
    const body = await rewordEnterprise(call.jsonBody(registerSchema));
    const options = readRoutes.optionsOf(call);
    const datacenter = datacenterOf(body, options.datacenter, daemons.datacenter);
    if (body.PeerName) throw new HttpError(500, "cannot register requests with PeerName in them");
    await writes.apply({ register: registerCommand(body) }, { ...options, datacenter });
    return call.json(true);
  };
  const deregister = async (call: Call) => {
    const body = await rewordEnterprise(call.jsonBody(deregisterSchema));
    const options = readRoutes.optionsOf(call);
    const datacenter = datacenterOf(body, options.datacenter, daemons.datacenter);
    const text = (name: string) => (body[name] ?? "") as string;
    if (text("Node") === "") throw new HttpError(500, "Must provide node");
    const command = {
      node: text("Node"),
      serviceId: text("ServiceID"),
      checkId: text("CheckID"),
      peerName: text("PeerName"),
    };
    await writes.apply({ deregister: command }, { ...options, datacenter });
    return call.json(true);
  };
  const route = (path: string, methods: Route["methods"], acl: string): Route => {
    return { path: `/v1/catalog/${path}`, methods, acl, enterprise: "both" };
  };
  return [
    route("register", { PUT: register }, "node, service: write"),
    route("deregister", { PUT: deregister }, "node, service: write"),
    { ...route("nodes", { GET: read(nodesPlan) }, "filtered"), enterprise: "partition" },
    route("services", { GET: read(servicesPlan) }, "filtered"),
    route("service/", { GET: read((call) => instancesPlan(call, daemons, false)) }, "filtered"),
    route("connect/", { GET: read((call) => instancesPlan(call, daemons, true)) }, "filtered"),
    route("node/", { GET: read((call) => nodePlan(call, daemons, "map")) }, "filtered"),
    route("node-services/", { GET: read((call) => nodePlan(call, daemons, "list")) }, "filtered"),
    route("gateway-services/", { GET: read(gatewayServicesPlan) }, "service:read"),
  ];
}

function datacenterOf(body: Fields, named: string, own: string): string {
  const given = (body.Datacenter ?? "") as string;
  return given === "" ? named : given === own ? "" : given;
}

function registerCommand(body: Fields) {
  const service = body.Service as Fields | undefined;
  const checks = [...((body.Checks ?? []) as Fields[])];
  if (body.Check !== undefined) checks.push(body.Check as Fields);
  return {
    node: nodeRow(body, "NodeMeta"),
    service: service === undefined ? null : serviceRow(service),
    checks: checks.map(checkRow),
    skipNodeUpdate: body.SkipNodeUpdate === true,
  };
}

function nodesPlan(call: Call, { node, datacenter }: CatalogDaemons): ReadPlan {
  const keep = filterOf(call, nodeShape);
  const near = nearOf(call, node);
  return {
    key: `catalog nodes ${renderKey(call)}`,
    query: { nodes: { meta: Object.fromEntries(parseNodeMeta(call.query)) } },
    also: near.also,
    showsConsistency: true,
    failsWithHeaders: true,
    render: (reply, also) => {
      const rows = sorted(reply.nodes, (row) => row.node, near, also);
      return call.json(rows.map((row) => renderNode(row, datacenter)).filter(keep));
    },
  };
}

function servicesPlan(call: Call, daemons: CatalogDaemons): ReadPlan {
  const meta = Object.fromEntries(parseNodeMeta(call.query));
  const shared = {
    key: `catalog services ${renderKey(call)}`,
    showsConsistency: true,
    failsWithHeaders: true,
  };
  if (call.query.get("filter") === "") {
    return {
      ...shared,
      query: { services: { nodeMeta: meta } },
      render: (reply) => {
        const rows = reply.services.map((row): [string, Json] => [row.service, row.tags]);
        return call.json(new Map(rows));
      },
    };
  }
  // A filter looks at rows of catalog/service, of every service.
  const keep = filterOf(call, serviceRowShape);
  return {
    ...shared,
    query: { instances: { nodeMeta: meta } },
    render: (reply) => {
      const tags = new Map<string, string[]>();
      for (const instance of reply.instances) {
        if (!keep(renderServiceRow(instance, daemons.datacenter))) continue;
        const known = tags.get(instance.service!.service) ?? [];
        for (const tag of instance.service!.tags) if (!known.includes(tag)) known.push(tag);
        tags.set(instance.service!.service, known);
      }
      return call.json(tags);
    },
  };
}

function instancesPlan(call: Call, daemons: CatalogDaemons, connect: boolean): ReadPlan {
  if (call.rest === "") throw new HttpError(400, "Missing service name");
  const keep = filterOf(call, serviceRowShape);
  const near = nearOf(call, daemons.node);
  return {
    key: `catalog ${connect ? "connect" : "service"} ${renderKey(call)}`,
    query: {
      instances: {
        service: call.rest,
        connect,
        tags: call.query.all("tag"),
        nodeMeta: Object.fromEntries(parseNodeMeta(call.query)),
      },
    },
    also: near.also,
    showsConsistency: true,
    failsWithHeaders: true,
    render: (reply, also) => {
      const rows = sorted(reply.instances, (row) => row.node!.node, near, also);
      return call.json(rows.map((row) => renderServiceRow(row, daemons.datacenter)).filter(keep));
    },
  };
}

function nodePlan(call: Call, { datacenter }: CatalogDaemons, form: "map" | "list"): ReadPlan {
  if (call.rest === "") throw new HttpError(400, "Missing node name");
  const keep = filterOf(call, serviceShape);
  const render = (reply: ReadReply): Json => {
    const [node] = reply.nodes;
    if (node === undefined) return form === "map" ? null : { Node: null, Services: null };
    const services = reply.nodeServices.map(renderService).filter(keep);
    const shown = form === "map"
      ? new Map(services.map((service) => [service.ID as string, service]))
      : services.length === 0
      ? null
      : services;
    return { Node: renderNode(node, datacenter), Services: shown };
  };
  return {
    key: `catalog node ${form} ${renderKey(call)}`,
    query: { node: { node: call.rest } },
    showsConsistency: true,
    failsWithHeaders: true,
    render: (reply) => call.json(render(reply)),
  };
}

function gatewayServicesPlan(call: Call): ReadPlan {
  if (call.rest === "") throw new HttpError(400, "Missing gateway name");
  return {
    key: `catalog gateway-services ${renderKey(call)}`,
    query: { documents: { kind: "gateway-service", id: "", idPrefix: `${call.rest}/` } },
    showsConsistency: true,
    failsWithHeaders: true,
    render: () => call.json([]),
  };
}
