// /v1/agent/service*, /v1/agent/check*, agent/health, maintenance (spec: http-api 5.3, 5.4).

import type { AgentChecks, AgentService, AgentServices } from "#proto/messages.js";
import { Agent } from "#proto/services.ts";
import type { BusClient } from "#shared/bus/client.ts";
import { type Answer, emptyAnswer, jsonAnswer } from "../../../core/answer.ts";
import {
  checkDefinition,
  checkDefinitionSchema,
  serviceDefinitionSchema,
  serviceRegistration,
} from "../../../core/bodies/agent.ts";
import { checkShape, serviceShape } from "../../../core/filter/shapes.ts";
import { HttpError } from "../../../core/http-error.ts";
import { object, text } from "../../../core/json-schema.ts";
import { type Json, type JsonFields, writeJson } from "../../../core/json-writer.ts";
import { parseBool, waitWithJitter } from "../../../core/params.ts";
import {
  type Aggregate,
  aggregate,
  aggregateStatus,
  renderAgentHealthCheck,
  renderAgentService,
} from "../../../core/render/agent.ts";
import { renderCheck } from "../../../core/render/catalog.ts";
import { type Call, decoding, type Handler, type Route } from "../../call.ts";
import type { ReadRoutes } from "../../read-route.ts";
import { filterOf } from "../row-options.ts";

export interface AgentDaemons {
  readRoutes: ReadRoutes;
  checkd: BusClient;
  datacenter: string;
}

/** Hash-blocking reads wait this long by default, and at most this long. */
const hashWaitMs = { standard: 300_000, most: 600_000 };

export function agentServiceRoutes(daemons: AgentDaemons): Route[] {
  const agent = daemons.checkd.of(Agent);
  const tokenOf = (call: Call) => ({ token: daemons.readRoutes.optionsOf(call).token });
  const services: Handler = async (call) => {
    const keep = filterOf(call, serviceShape);
    const list = await agent.listServices({}, tokenOf(call));
    const rows = list.services.map((one): [string, Json] => [
      one.service!.id,
      renderAgentService(one, daemons.datacenter),
    ]);
    return call.json(new Map(rows.filter(([, row]) => keep(row))));
  };
  const checks: Handler = async (call) => {
    const list = await agent.listChecks({}, tokenOf(call));
    // Consul looks at the filter only when there is a check to try it on.
    const keep = list.checks.length === 0 ? () => true : filterOf(call, checkShape);
    const rows = list.checks.map((
      { check },
    ): [string, Json] => [check!.checkId, renderCheck(check!)]);
    return call.json(new Map(rows.filter(([, row]) => keep(row))));
  };
  const registerService: Handler = async (call) => {
    const body = await call.jsonBody(serviceDefinitionSchema);
    const replace = call.query.has("replace-existing-checks") &&
      /^(true)?$/.test(call.query.get("replace-existing-checks"));
    const request = decoding("Request decode failed: ", () => serviceRegistration(body));
    const { token } = tokenOf(call);
    await agent.registerService({ ...request, token, replaceExistingChecks: replace }, { token });
    return emptyAnswer;
  };
  const deregisterService: Handler = async (call) => {
    await agent.deregisterService({ id: call.rest }, tokenOf(call));
    return emptyAnswer;
  };
  const registerCheck: Handler = async (call) => {
    const body = await call.jsonBody(checkDefinitionSchema);
    const { token } = tokenOf(call);
    await agent.registerCheck({ check: checkDefinition(body), token }, { token });
    return emptyAnswer;
  };
  const deregisterCheck: Handler = async (call) => {
    await agent.deregisterCheck({ id: call.rest }, tokenOf(call));
    return emptyAnswer;
  };
  const update = (status: string): Handler => async (call) => {
    const output = call.query.get("note");
    await agent.updateTtlCheck({ checkId: call.rest, status, output }, tokenOf(call));
    return emptyAnswer;
  };
  const route = (path: string, method: string, handler: Handler, acl: string): Route => {
    return { path: `/v1/agent/${path}`, methods: { [method]: handler }, acl, enterprise: "both" };
  };
  return [
    route("services", "GET", services, "filtered"),
    route("service/", "GET", (call) => service(call, daemons), "service:read"),
    route("service/register", "PUT", registerService, "service:write"),
    route("service/deregister/", "PUT", deregisterService, "service:write"),
    route(
      "service/maintenance/",
      "PUT",
      (call) => maintenance(call, daemons, true),
      "service:write",
    ),
    route("maintenance", "PUT", (call) => maintenance(call, daemons, false), "node:write"),
    route("health/service/id/", "GET", (call) => healthById(call, daemons), "service:read"),
    route("health/service/name/", "GET", (call) => healthByName(call, daemons), "service:read"),
    route("checks", "GET", checks, "filtered"),
    route("check/register", "PUT", registerCheck, "node, service: write"),
    route("check/deregister/", "PUT", deregisterCheck, "node, service: write"),
    route("check/pass/", "PUT", update("passing"), "node, service: write"),
    route("check/warn/", "PUT", update("warning"), "node, service: write"),
    route("check/fail/", "PUT", update("critical"), "node, service: write"),
    route("check/update/", "PUT", (call) => updateCheck(call, daemons), "node, service: write"),
  ];
}

const updateSchema = object("checkUpdate", { fields: { Status: text, Output: text } });

async function updateCheck(call: Call, { checkd, readRoutes }: AgentDaemons): Promise<Answer> {
  const body = await call.jsonBody(updateSchema);
  const status = (body.Status ?? "") as string;
  if (!/^(passing|warning|critical)$/.test(status)) {
    throw new HttpError(400, `Invalid check status: '${status}'`);
  }
  const update = { checkId: call.rest, status, output: (body.Output ?? "") as string };
  const { token } = readRoutes.optionsOf(call);
  await checkd.of(Agent).updateTtlCheck(update, { token });
  return emptyAnswer;
}

async function maintenance(
  call: Call,
  { checkd, readRoutes }: AgentDaemons,
  isOfService: boolean,
): Promise<Answer> {
  if (isOfService && call.rest === "") throw new HttpError(400, "Missing service ID");
  const given = call.query.get("enable");
  if (given === "") throw new HttpError(400, "Missing value for enable");
  const enable = parseBool(given);
  if (enable === undefined) throw new HttpError(400, `Invalid value for enable: "${given}"`);
  const { token } = readRoutes.optionsOf(call);
  const request = {
    serviceId: isOfService ? call.rest : "",
    enable,
    reason: call.query.get("reason"),
    token,
  };
  await checkd.of(Agent).setMaintenance(request, { token });
  return emptyAnswer;
}

// ---- one service, with hash blocking

async function service(call: Call, daemons: AgentDaemons): Promise<Answer> {
  const { waitMs, token } = daemons.readRoutes.optionsOf(call);
  const known = call.query.get("hash");
  const agent = daemons.checkd.of(Agent);
  const deadlineMs = performance.now() +
    waitWithJitter(waitMs, hashWaitMs.standard, hashWaitMs.most, Math.random());
  for (;;) {
    const list = await agent.listServices({}, { token });
    const found = list.services.find((one) => one.service!.id === call.rest);
    if (found === undefined) throw new HttpError(404, `unknown service ID: ${call.rest}`);
    const hash = contentHash(found);
    const leftMs = deadlineMs - performance.now();
    if (known !== hash || known === "" || leftMs <= 0 || call.exchange.isAborted) {
      const row = renderAgentService(found, daemons.datacenter, hash);
      return call.json(row, `X-Consul-Contenthash: ${hash}\r\n`);
    }
    await changeOf(call, daemons, list, Math.ceil(leftMs));
  }
}

/** Settles when something declared on this node is another, when the time is up, or when the
 *  client has gone. */
async function changeOf(
  call: Call,
  { checkd }: AgentDaemons,
  list: AgentServices,
  leftMs: number,
): Promise<void> {
  const abort = new AbortController();
  call.exchange.onAbort(() => abort.abort());
  const { version } = list;
  const began = performance.now();
  try {
    await checkd.of(Agent).waitChange({ version }, { timeoutMs: leftMs, signal: abort.signal });
  } catch {
    // Its time was up, or checkd restarts: look again, but not in a tight loop.
    if (performance.now() - began < 100 && !abort.signal.aborted) await Bun.sleep(100);
  }
}

function contentHash(found: AgentService): string {
  const row = renderAgentService(found, "");
  return new Bun.CryptoHasher("sha256").update(writeJson(row)).digest("hex").slice(0, 16);
}

// ---- health of local instances

async function localState({ checkd }: AgentDaemons): Promise<[AgentServices, AgentChecks]> {
  const agent = checkd.of(Agent);
  return await Promise.all([agent.listServices({}), agent.listChecks({})]);
}

function healthOf(found: AgentService, checks: AgentChecks, datacenter: string) {
  const own = checks.checks.map(({ check }) => check!)
    .filter((check) => check.serviceId === "" || check.serviceId === found.service!.id);
  const status = aggregate(own);
  const row: JsonFields = {
    AggregatedStatus: status,
    Service: renderAgentService(found, datacenter),
    Checks: own.map(renderAgentHealthCheck),
  };
  return { status, row };
}

function wantsText(call: Call): boolean {
  return call.query.get("format") === "text" ||
    (call.header("accept") ?? "").startsWith("text/plain");
}

function healthAnswer(call: Call, status: number, reason: string, body: Json): Answer {
  const headers = `X-Consul-Reason: ${reason}\r\n`;
  if (wantsText(call)) return { status, contentType: "text/plain", headers, body: reason };
  return { ...jsonAnswer(call.jsonText(writeJson(body)), headers), status };
}

async function healthById(call: Call, daemons: AgentDaemons): Promise<Answer> {
  if (call.rest === "") throw new HttpError(500, "Missing serviceID");
  const [services, checks] = await localState(daemons);
  const found = services.services.find((one) => one.service!.id === call.rest);
  if (found === undefined) {
    const missing = { AggregatedStatus: "critical", Service: null, Checks: null };
    return healthAnswer(call, 404, `ServiceId ${call.rest} not found`, missing);
  }
  const { status, row } = healthOf(found, checks, daemons.datacenter);
  return healthAnswer(call, aggregateStatus[status], status, row);
}

const badness: Record<Aggregate, number> = {
  passing: 0,
  warning: 1,
  critical: 2,
  maintenance: 3,
  "": 4,
};

async function healthByName(call: Call, daemons: AgentDaemons): Promise<Answer> {
  if (call.rest === "") throw new HttpError(500, "Missing service Name");
  const [services, checks] = await localState(daemons);
  const found = services.services.filter((one) => one.service!.service === call.rest);
  if (found.length === 0) return healthAnswer(call, 404, `ServiceName ${call.rest} Not Found`, []);
  let worst: Aggregate = "passing";
  const rows: JsonFields[] = [];
  for (const one of found) {
    const { status, row } = healthOf(one, checks, daemons.datacenter);
    if (badness[status] > badness[worst]) worst = status;
    rows.push(row);
  }
  return healthAnswer(call, aggregateStatus[worst], worst, rows);
}
