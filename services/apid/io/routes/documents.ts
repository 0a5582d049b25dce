// Reads of rows that the state keeps without looking into them, and that a restored snapshot may
// have: peerings, exported services, federation states. Making them is still to come.

import type { Document, ReadReply } from "#proto/messages.js";
import { type Answer, textAnswer } from "../../core/answer.ts";
import { toJson } from "../../core/bodies/proxy.ts";
import { HttpError } from "../../core/http-error.ts";
import { readJson } from "../../core/json-reader.ts";
import { map, object, text } from "../../core/json-schema.ts";
import { list } from "../../core/json-schema.ts";
import type { Json } from "../../core/json-writer.ts";
import { type Call, type Handler, later, type Route } from "../call.ts";
import type { ReadRoutes } from "../read-route.ts";
import type { ReadPlan } from "../reads/plan.ts";

/** A row's JSON with the indexes that the state adds. */
export function documentJson(document: Document): Json {
  const body = toJson(readJson(Buffer.from(document.bodyJson).toString("utf8")));
  const fields = body instanceof Map ? Object.fromEntries(body) as Record<string, Json> : {};
  return { ...fields, CreateIndex: document.createIndex, ModifyIndex: document.modifyIndex };
}

export function documentRoutes({ readRoutes }: { readRoutes: ReadRoutes }): Route[] {
  const route = (path: string, methods: Route["methods"], acl: string): Route => {
    return { path, methods, acl, enterprise: "none" };
  };
  const all = (kind: string) => readRoutes.handler((call) => listPlan(call, kind));
  return [
    route("/v1/peerings", { GET: all("peering") }, "peering:read"),
    route(
      "/v1/peering/",
      { GET: readRoutes.handler(peeringPlan), DELETE: later("peering") },
      "peering:read, write",
    ),
    route("/v1/peering/token", { POST: peeringToken }, "peering:write"),
    route("/v1/peering/establish", { POST: establish }, "peering:write"),
    route("/v1/exported-services", { GET: readRoutes.handler(exportedPlan) }, "mesh:read"),
    route("/v1/internal/federation-states", { GET: all("federation-state") }, "operator:read"),
    route(
      "/v1/internal/federation-state/",
      { GET: readRoutes.handler(federationPlan) },
      "operator:read",
    ),
  ];
}

function listPlan(call: Call, kind: string): ReadPlan {
  return {
    key: `documents ${kind} ${call.layout}`,
    query: { documents: { kind } },
    render: (reply) => call.json(reply.documents.map(documentJson)),
  };
}

const byName = (name: string) => (document: Document) =>
  document.id.toLowerCase() === name.toLowerCase();

function peeringPlan(call: Call): ReadPlan {
  if (call.rest === "") throw new HttpError(400, "Must specify a name to fetch.");
  const render = (reply: ReadReply): Answer => {
    const found = reply.documents.find(byName(call.rest));
    return found === undefined
      ? textAnswer(404, `Peering not found for "${call.rest}"`)
      : call.json(documentJson(found));
  };
  return {
    key: `document peering ${call.layout} ${call.rest}`,
    query: { documents: { kind: "peering" } },
    render,
  };
}

function federationPlan(call: Call): ReadPlan {
  return {
    key: `document federation-state ${call.layout} ${call.rest}`,
    query: { documents: { kind: "federation-state" } },
    render: (reply) => {
      const found = reply.documents.find(byName(call.rest));
      return found === undefined
        ? { status: 404, contentType: "", headers: "", body: "" }
        : call.json(documentJson(found));
    },
  };
}

/** Resolving wildcards comes with peering: entries that need it are told apart, not guessed. */
function exportedPlan(call: Call): ReadPlan {
  return {
    key: `exported-services ${call.layout}`,
    query: { documents: { kind: "config-entry", idPrefix: "exported-services/" } },
    render: (reply) => {
      if (reply.documents.length === 0) return call.json([]);
      throw new HttpError(501, "Exported services are not served yet by this release of Curia");
    },
  };
}

const tokenSchema = object("GenerateTokenRequest", {
  fields: { PeerName: text, Partition: text, Meta: map(text), ServerExternalAddresses: list(text) },
});
const establishSchema = object("EstablishRequest", {
  fields: { PeerName: text, PeeringToken: text, Partition: text, Meta: map(text) },
});

const peeringToken: Handler = async (call) => {
  const body = await call.jsonBody(tokenSchema, "Body decoding failed: ");
  if (!body.PeerName) {
    throw new HttpError(
      400,
      "PeerName is required in the payload when generating a new peering token.",
    );
  }
  return later("peering")(call);
};

const establish: Handler = async (call) => {
  const body = await call.jsonBody(establishSchema, "Body decoding failed: ");
  if (!body.PeerName) {
    throw new HttpError(400, "PeerName is required in the payload when establishing a peering.");
  }
  if (!body.PeeringToken) {
    throw new HttpError(
      400,
      "PeeringToken is required in the payload when establishing a peering.",
    );
  }
  return later("peering")(call);
};
