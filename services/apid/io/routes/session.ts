// /v1/session/ (spec: http-api 5.9).

import { State } from "#proto/services.ts";
import type { BusClient } from "#shared/bus/client.ts";
import { formatDuration, msToNs, parseDuration } from "#shared/consul/duration.ts";
import { CuriaError } from "#shared/errors.ts";
import { sessionFromBody } from "../../core/bodies/session.ts";
import { HttpError } from "../../core/http-error.ts";
import { renderSession } from "../../core/render/rows.ts";
import { type Call, decoding, rewordEnterprise, type Route } from "../call.ts";
import type { ReadRoutes } from "../read-route.ts";
import type { ReadPlan } from "../reads/plan.ts";
import type { Writes } from "../writes.ts";

export interface SessionDaemons {
  readRoutes: ReadRoutes;
  writes: Writes;
  state: BusClient;
  node: string;
  isServer: boolean;
  ttlMinMs: number;
}

const ttlMaxNs = 24n * 3_600_000_000_000n;

function checkTtl(ttl: string, minMs: number): void {
  if (ttl === "") return;
  let ns: bigint;
  try {
    ns = parseDuration(ttl);
  } catch (error) {
    throw new HttpError(500, `Session TTL '${ttl}' invalid: ${(error as Error).message}`);
  }
  const minNs = msToNs(minMs);
  if (ns === 0n || (ns >= minNs && ns <= ttlMaxNs)) return;
  const bounds = `${formatDuration(minNs)}=${formatDuration(ttlMaxNs)}`;
  throw new HttpError(500, `Invalid Session TTL '${ns}', must be between [${bounds}]`);
}

export function sessionRoutes(daemons: SessionDaemons): Route[] {
  const { readRoutes, writes, state } = daemons;
  const create = async (call: Call) => {
    const options = readRoutes.optionsOf(call);
    const { contentLength } = call.exchange.head;
    const body = contentLength > 0 ? await call.bodyText() : "";
    const session = await rewordEnterprise(
      Promise.resolve().then(() =>
        decoding("Request decode failed: ", () => sessionFromBody(body, daemons.node))
      ),
    );
    if (options.datacenter !== "" && !daemons.isServer) {
      throw new HttpError(500, "cross datacenter lock must be created at server agent");
    }
    if (session.node !== "") checkTtl(session.ttl ?? "", daemons.ttlMinMs);
    const id = crypto.randomUUID();
    await writes.apply({ session: { create: { ...session, id } } }, options);
    return call.json({ ID: id });
  };
  const destroy = async (call: Call) => {
    const id = needSession(call);
    await writes.apply({ session: { destroy: id } }, readRoutes.optionsOf(call));
    return call.json(true);
  };
  const renew = async (call: Call) => {
    const id = needSession(call);
    const { datacenter, token } = readRoutes.optionsOf(call);
    const unknown = new HttpError(404, `Session id '${id}' not found`);
    try {
      const reply = await state.of(State).renewSession({ id }, { datacenter, token });
      if (reply.sessions.length === 0) throw unknown;
      return call.json(reply.sessions.map(renderSession));
    } catch (error) {
      throw error instanceof CuriaError && error.code === "not-found" ? unknown : error;
    }
  };
  const route = (path: string, methods: Route["methods"], acl: string): Route => {
    return { path: `/v1/session/${path}`, methods, acl, enterprise: "both" };
  };
  return [
    route("create", { PUT: create }, "session:write"),
    route("destroy/", { PUT: destroy }, "session:write"),
    route("renew/", { PUT: renew }, "session:write"),
    route("info/", { GET: readRoutes.handler(infoPlan) }, "filtered"),
    route("node/", { GET: readRoutes.handler(nodePlan) }, "filtered"),
    route("list", { GET: readRoutes.handler(listPlan) }, "filtered"),
  ];
}

function needSession(call: Call): string {
  if (call.rest === "") throw new HttpError(400, "Missing session");
  return call.rest;
}

function infoPlan(call: Call): ReadPlan {
  const id = needSession(call);
  return {
    key: `session info ${call.layout} ${id}`,
    query: { sessions: { id } },
    isSingle: true,
    render: (reply) => call.json(reply.sessions.map(renderSession)),
  };
}

function nodePlan(call: Call): ReadPlan {
  if (call.rest === "") throw new HttpError(400, "Missing node name");
  return {
    key: `session node ${call.layout} ${call.rest}`,
    query: { sessions: { node: call.rest } },
    render: (reply) => call.json(reply.sessions.map(renderSession)),
  };
}

function listPlan(call: Call): ReadPlan {
  return {
    key: `session list ${call.layout}`,
    query: { sessions: {} },
    render: (reply) => call.json(reply.sessions.map(renderSession)),
  };
}
