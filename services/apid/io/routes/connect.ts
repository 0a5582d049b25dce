// Certificates: /v1/connect/ca/, /v1/agent/connect/ca/ (spec: http-api 5.16).

import { Certificates } from "#proto/services.ts";
import type { BusClient } from "#shared/bus/client.ts";
import { type Answer, emptyAnswer, jsonAnswer, readHeaders } from "../../core/answer.ts";
import { toJson } from "../../core/bodies/proxy.ts";
import { HttpError } from "../../core/http-error.ts";
import { any, bool, type Fields, object, text, uint64 } from "../../core/json-schema.ts";
import type { JsonValue } from "../../core/json-reader.ts";
import { writeJson } from "../../core/json-writer.ts";
import { parseBool, type ReadOptions, waitWithJitter } from "../../core/params.ts";
import { type Call, type Handler, later, type Route } from "../call.ts";
import type { ReadRoutes } from "../read-route.ts";

export interface ConnectDaemons {
  readRoutes: ReadRoutes;
  cad: BusClient;
  isEnabled: boolean;
  defaultWaitMs: number;
  maxWaitMs: number;
}

const configurationSchema = object("CAConfiguration", {
  fields: {
    ClusterID: text,
    Provider: text,
    Config: any,
    State: any,
    ForceWithoutCrossSigning: bool,
    CreateIndex: uint64,
    ModifyIndex: uint64,
  },
});

export function connectRoutes(daemons: ConnectDaemons): Route[] {
  const { readRoutes, cad, isEnabled } = daemons;
  const authority = cad.of(Certificates);
  const enabled = (handler: Handler): Handler => (call) => {
    if (isEnabled) return handler(call);
    throw new HttpError(500, "Connect must be enabled in order to use this endpoint");
  };
  const configuration: Handler = async (call) => {
    const { datacenter, token } = readRoutes.optionsOf(call);
    const { bodyJson } = await authority.getConfiguration({}, { datacenter, token });
    return jsonAnswer(call.jsonText(Buffer.from(bodyJson).toString("utf8")));
  };
  const configure: Handler = async (call) => {
    const body = await call.jsonBody(configurationSchema);
    const { datacenter, token } = readRoutes.optionsOf(call);
    const bodyJson = Buffer.from(writeJson(configurationOf(body)));
    await authority.setConfiguration({ bodyJson }, { datacenter, token });
    return emptyAnswer;
  };
  const leaf: Handler = async (call) => {
    if (call.rest === "") throw new HttpError(400, "Missing service name");
    const options = readRoutes.optionsOf(call);
    const request = {
      service: call.rest,
      knownIndex: options.index,
      waitMs: waitOf(daemons, options),
      dnsSan: call.query.all("dns-san"),
      ipSan: call.query.all("ip-san"),
    };
    const reply = await authority.leaf(request, {
      token: options.token,
      timeoutMs: request.waitMs + 20_000,
    });
    const body = call.jsonText(Buffer.from(reply.bodyJson).toString("utf8"));
    return jsonAnswer(body, `X-Consul-Index: ${Math.max(1, reply.index)}\r\nX-Cache: MISS\r\n`);
  };
  const route = (path: string, methods: Route["methods"], acl: string): Route => {
    return { path, methods, acl, enterprise: "none" };
  };
  const roots = (call: Call) => rootsAnswer(call, daemons, false);
  const agentRoots = (call: Call) => rootsAnswer(call, daemons, true);
  return [
    route("/v1/connect/ca/roots", { GET: enabled(roots) }, "none"),
    route(
      "/v1/connect/ca/configuration",
      { GET: enabled(configuration), PUT: enabled(configure) },
      "operator:read, write",
    ),
    route("/v1/agent/connect/ca/roots", { GET: enabled(agentRoots) }, "none"),
    route("/v1/agent/connect/ca/leaf/", { GET: enabled(leaf) }, "service:write"),
    route(
      "/v1/agent/connect/authorize",
      { POST: later("authorization of connections") },
      "service:write",
    ),
  ];
}

function waitOf(daemons: ConnectDaemons, { index, waitMs }: ReadOptions): number {
  if (index === 0) return 0;
  const { defaultWaitMs, maxWaitMs } = daemons;
  return Math.ceil(waitWithJitter(waitMs, defaultWaitMs, maxWaitMs, Math.random()));
}

function configurationOf(body: Fields) {
  return {
    Provider: (body.Provider ?? "") as string,
    Config: body.Config === undefined ? null : toJson(body.Config as JsonValue),
    State: body.State === undefined ? null : toJson(body.State as JsonValue),
    ForceWithoutCrossSigning: body.ForceWithoutCrossSigning === true,
  };
}

async function rootsAnswer(
  call: Call,
  daemons: ConnectDaemons,
  isOfAgent: boolean,
): Promise<Answer> {
  const options = daemons.readRoutes.optionsOf(call);
  const given = call.query.get("pem");
  const wantsPem = given === "" ? false : parseBool(given);
  if (!isOfAgent && wantsPem === undefined) {
    throw new HttpError(400, "The 'pem' query parameter must be a boolean value");
  }
  const waitMs = waitOf(daemons, options);
  const reply = await daemons.cad.of(Certificates).roots({ knownIndex: options.index, waitMs }, {
    token: options.token,
    datacenter: options.datacenter,
    timeoutMs: waitMs + 10_000,
  });
  const headers = readHeaders({
    index: reply.index,
    knownLeader: true,
    lastContactMs: 0,
    mode: options.mode,
    showsConsistency: false,
    isStreaming: false,
  }) + (isOfAgent ? "X-Cache: HIT\r\nAge: 0\r\n" : "");
  if (wantsPem === true && !isOfAgent) {
    const contentType = "application/pem-certificate-chain";
    return { status: 200, contentType, headers, body: reply.pem };
  }
  return jsonAnswer(call.jsonText(Buffer.from(reply.bodyJson).toString("utf8")), headers);
}
