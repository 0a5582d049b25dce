// /v1/health/ (spec: http-api 5.6).

import type { ChecksQueryInput, ServiceInstance } from "#proto/messages.js";
import { bareFilterText } from "../../core/filter/evaluate.ts";
import { checkShape, instanceShape } from "../../core/filter/shapes.ts";
import { HttpError } from "../../core/http-error.ts";
import { parseBool, parseNodeMeta, type ReadOptions } from "../../core/params.ts";
import { renderCheck, renderInstance } from "../../core/render/catalog.ts";
import type { Call, Route } from "../call.ts";
import type { ReadRoutes } from "../read-route.ts";
import type { ReadPlan } from "../reads/plan.ts";
import { filterOf, nearOf, renderKey, sorted } from "./row-options.ts";

export interface HealthDaemons {
  readRoutes: ReadRoutes;
  node: string;
  datacenter: string;
}

export function healthRoutes(daemons: HealthDaemons): Route[] {
  const read = (plan: (call: Call, options: ReadOptions) => ReadPlan) =>
    daemons.readRoutes.handler(plan, true);
  const route = (
    path: string,
    plan: (call: Call, options: ReadOptions) => ReadPlan,
    acl: string,
  ): Route => {
    return { path: `/v1/health/${path}`, methods: { GET: read(plan) }, acl, enterprise: "both" };
  };
  const instances =
    (kind: "service" | "connect" | "ingress") => (call: Call, options: ReadOptions) =>
      instancesPlan(call, options, daemons, kind);
  return [
    route("node/", (call) => checksPlan(call, daemons, "node", "node name"), "filtered"),
    route("checks/", (call) => checksPlan(call, daemons, "service", "service name"), "filtered"),
    route("state/", (call) => checksPlan(call, daemons, "state", "check state"), "filtered"),
    route("service/", instances("service"), "filtered"),
    route("connect/", instances("connect"), "service:read"),
    route("ingress/", instances("ingress"), "service:read"),
  ];
}

function checksPlan(
  call: Call,
  daemons: HealthDaemons,
  by: "node" | "service" | "state",
  missing: string,
): ReadPlan {
  if (call.rest === "") throw new HttpError(400, `Missing ${missing}`);
  const keep = filterOf(call, checkShape);
  const near = by === "node" ? { source: "", also: undefined } : nearOf(call, daemons.node);
  const query: ChecksQueryInput = { [by]: call.rest };
  if (by !== "node") query.nodeMeta = Object.fromEntries(parseNodeMeta(call.query));
  return {
    key: `health ${by} checks ${renderKey(call)}`,
    query: { checks: query },
    also: near.also,
    showsConsistency: true,
    render: (reply, also) => {
      const rows = sorted(reply.checks, (row) => row.node, near, also);
      return call.json(rows.map(renderCheck).filter(keep));
    },
  };
}

function instancesPlan(
  call: Call,
  options: ReadOptions,
  daemons: HealthDaemons,
  kind: "service" | "connect" | "ingress",
): ReadPlan {
  const { query, rest } = call;
  if (rest === "") throw new HttpError(400, "Missing service name");
  const peer = query.get("peer");
  if (peer !== "" && (query.get("sg") || query.get("sameness-group")) !== "") {
    throw new HttpError(400, "peer-name and sameness-group are mutually exclusive");
  }
  const isStreamable = kind !== "ingress" && options.mode === "default" &&
    !query.has("near") && (options.index > 0 || options.isCached);
  const keep = filterOf(call, instanceShape, isStreamable ? bareFilterText : undefined);
  const near = nearOf(call, daemons.node);
  const isPassing = passingOf(call);
  return {
    key: `health ${kind} ${renderKey(call)}`,
    query: {
      instances: {
        service: kind === "ingress" ? `ingress-gateway of ${rest}` : rest,
        connect: kind === "connect",
        withChecks: true,
        peerName: peer,
        tags: query.all("tag"),
        nodeMeta: Object.fromEntries(parseNodeMeta(query)),
      },
    },
    also: near.also,
    showsConsistency: true,
    isStreamable,
    render: (reply, also) => {
      const passing = isPassing ? reply.instances.filter(isHealthy) : reply.instances;
      const rows = sorted(passing, (row) => row.node!.node, near, also);
      return call.json(rows.map((row) => renderInstance(row, daemons.datacenter)).filter(keep));
    },
  };
}

function passingOf(call: Call): boolean {
  if (!call.query.has("passing")) return false;
  const text = call.query.get("passing");
  if (text === "") return true;
  const value = parseBool(text);
  if (value === undefined) throw new HttpError(400, "Invalid value for ?passing");
  return value;
}

function isHealthy(instance: ServiceInstance): boolean {
  return instance.checks.every((check) => check.status === "passing");
}
