// /v1/event/ (spec: http-api 5.11) and /v1/operator/keyring.

import type { KeyringPool, UserEvent } from "#proto/messages.js";
import { Gossip } from "#proto/services.ts";
import type { BusClient } from "#shared/bus/client.ts";
import { type Answer, emptyAnswer, jsonAnswer } from "../../core/answer.ts";
import { regexpProblem } from "../../core/filter/regexp.ts";
import { HttpError } from "../../core/http-error.ts";
import { object, text } from "../../core/json-schema.ts";
import { type Json, writeJson } from "../../core/json-writer.ts";
import { parseBool } from "../../core/params.ts";
import { eventIndex, renderEvent } from "../../core/render/rows.ts";
import { type Call, type Route } from "../call.ts";
import type { ReadRoutes } from "../read-route.ts";

export interface GossipDaemons {
  readRoutes: ReadRoutes;
  gossip: BusClient;
}

const defaultWaitMs = 600_000;

export function eventRoutes(daemons: GossipDaemons): Route[] {
  return [
    {
      path: "/v1/event/fire/",
      methods: { PUT: (call) => fire(call, daemons) },
      acl: "event:write",
      enterprise: "none",
    },
    {
      path: "/v1/event/list",
      methods: { GET: (call) => list(call, daemons) },
      acl: "filtered",
      enterprise: "none",
    },
    {
      path: "/v1/operator/keyring",
      methods: {
        GET: (call) => keyring(call, daemons, "list"),
        POST: (call) => keyring(call, daemons, "install"),
        PUT: (call) => keyring(call, daemons, "use"),
        DELETE: (call) => keyring(call, daemons, "remove"),
      },
      acl: "keyring:read, write",
      enterprise: "none",
    },
  ];
}

async function fire(call: Call, { gossip, readRoutes }: GossipDaemons): Promise<Answer> {
  const { query, rest } = call;
  const { datacenter, token } = readRoutes.optionsOf(call);
  if (rest === "") throw new HttpError(400, "Missing name");
  const filters = { node: query.get("node"), service: query.get("service"), tag: query.get("tag") };
  if (filters.tag !== "" && filters.service === "") {
    throw new HttpError(500, "Cannot provide tag filter without service filter");
  }
  for (const [kind, pattern] of Object.entries(filters)) {
    const problem = regexpProblem(pattern);
    if (problem !== undefined) {
      throw new HttpError(500, `Invalid ${kind} filter: error parsing regexp: ${problem}`);
    }
  }
  const payload = call.exchange.head.contentLength > 0
    ? call.exchange.bodyNow() ?? await call.exchange.body(64 << 10)
    : new Uint8Array(0);
  try {
    const event = await gossip.of(Gossip).fireEvent({
      name: rest,
      payload,
      nodeFilter: filters.node,
      serviceFilter: filters.service,
      tagFilter: filters.tag,
      version: 1,
    }, { datacenter, token });
    return call.json({ ...renderEvent(event), LTime: 0 });
  } catch (error) {
    throw new HttpError(500, error instanceof Error ? error.message : String(error));
  }
}

/** Blocks while the newest event is the one of `index`. */
async function list(call: Call, daemons: GossipDaemons): Promise<Answer> {
  const options = daemons.readRoutes.optionsOf(call);
  const { query, exchange } = call;
  const filter = {
    name: query.get("name"),
    node: query.get("node"),
    service: query.get("service"),
    tag: query.get("tag"),
  };
  const wantedIndex = query.get("index") === "" ? 0n : BigInt(query.get("index"));
  const waitMs = options.waitMs > 0 ? Math.min(options.waitMs, defaultWaitMs) : defaultWaitMs;
  const gossip = daemons.gossip.of(Gossip);
  const read = async () => (await gossip.listEvents(filter, { token: options.token })).events;
  const answer = (events: readonly UserEvent[]) => {
    const index = indexOf(events);
    const body = call.jsonText(writeJson(events.map(renderEvent)));
    return jsonAnswer(body, `X-Consul-Index: ${index}\r\n`);
  };
  let events = await read();
  if (wantedIndex === 0n || indexOf(events) !== wantedIndex) return answer(events);
  const deadlineMs = performance.now() + waitMs;
  const stream = gossip.watchEvents(filter, { token: options.token });
  await new Promise<void>((resolve) => {
    const timer = setTimeout(resolve, waitMs);
    const look = () =>
      read().then((found) => {
        events = found;
        if (indexOf(found) === wantedIndex) return;
        clearTimeout(timer);
        resolve();
      }, resolve);
    stream.onItem = () => void look();
    stream.onError = () => setTimeout(resolve, Math.min(1_000, deadlineMs - performance.now()));
    exchange.onAbort(resolve);
    // One may have come before the stream was open.
    void look();
  });
  stream.cancel();
  return answer(events);
}

function indexOf(events: readonly UserEvent[]): bigint {
  const newest = events.at(-1);
  return newest === undefined ? 1n : eventIndex(newest.id);
}

// ---- keyring

const keySchema = object("keyringArgs", { fields: { Key: text } });

async function keyring(
  call: Call,
  { gossip, readRoutes }: GossipDaemons,
  operation: "list" | "install" | "use" | "remove",
): Promise<Answer> {
  const { query } = call;
  const { datacenter, token } = readRoutes.optionsOf(call);
  const relay = query.get("relay-factor");
  const relayFactor = relay === "" ? 0 : Number(relay);
  if (relay !== "" && !/^\d+$/.test(relay)) {
    throw new HttpError(
      400,
      `Invalid relay-factor: strconv.Atoi: parsing "${relay}": invalid syntax`,
    );
  }
  if (relayFactor > 5) {
    throw new HttpError(400, "Invalid relay-factor: Relay factor must be in range: [0, 5]");
  }
  const local = query.get("local-only");
  const localOnly = local === "" ? false : parseBool(local);
  if (localOnly === undefined) {
    throw new HttpError(
      400,
      `Invalid local-only: strconv.ParseBool: parsing "${local}": invalid syntax`,
    );
  }
  if (localOnly && operation !== "list") {
    throw new HttpError(
      400,
      "Invalid use of local-only: local-only can only be set for list requests",
    );
  }
  const key = operation === "list" ? "" : ((await call.jsonBody(keySchema)).Key ?? "") as string;
  const reply = await gossip.of(Gossip).keyring(
    { operation, key, relayFactor, localOnly },
    { datacenter, token },
  );
  const failures = reply.pools.filter((pool) => pool.error !== "");
  if (failures.length > 0) throw new HttpError(500, keyringErrors(failures));
  if (operation !== "list") return emptyAnswer;
  return call.json(reply.pools.map((pool): Json => ({
    WAN: pool.wan,
    Datacenter: pool.datacenter,
    Segment: pool.segment,
    Messages: Object.keys(pool.messages).length === 0
      ? undefined
      : new Map(Object.entries(pool.messages)),
    Keys: new Map(Object.entries(pool.keys)),
    PrimaryKeys: new Map(Object.entries(pool.primaryKeys)),
    NumNodes: pool.numNodes,
  })));
}

/** Each failed pool, and what its nodes said, as one list. */
function keyringErrors(failures: readonly KeyringPool[]): string {
  const lines = failures.flatMap(({ wan, datacenter, error, messages }) => [
    `${wan ? "WAN" : `${datacenter} (LAN)`} error: ${error}`,
    ...Object.entries(messages).map(([node, message]) => `${node}: ${message}`),
  ]);
  const noun = lines.length === 1 ? "error" : "errors";
  return `${lines.length} ${noun} occurred:${lines.map((line) => `\n\t* ${line}`).join("")}\n\n`;
}
