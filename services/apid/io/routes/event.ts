// /v1/event/ (spec: http-api 5.11).

import type { UserEvent } from "#proto/messages.js";
import { Gossip } from "#proto/services.ts";
import type { BusClient } from "#shared/bus/client.ts";
import { type Answer, jsonAnswer } from "../../core/answer.ts";
import { regexpProblem } from "../../core/filter/regexp.ts";
import { HttpError } from "../../core/http-error.ts";
import { writeJson } from "../../core/json-writer.ts";
import { eventIndex, renderEvent } from "../../core/render/rows.ts";
import { type Call, type Route } from "../call.ts";
import type { ReadRoutes } from "../read-route.ts";

export interface EventDaemons {
  readRoutes: ReadRoutes;
  gossip: BusClient;
  /** The way to another datacenter's gossipd. */
  state: BusClient;
  datacenter: string;
}

const defaultWaitMs = 600_000;

export function eventRoutes(daemons: EventDaemons): Route[] {
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
  ];
}

async function fire(call: Call, daemons: EventDaemons): Promise<Answer> {
  const { query, rest } = call;
  const { datacenter, token } = daemons.readRoutes.optionsOf(call);
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
    const isOurs = datacenter === "" || datacenter === daemons.datacenter;
    const gossip = isOurs ? daemons.gossip : daemons.state;
    const event = await gossip.of(Gossip).fireEvent({
      name: rest,
      payload,
      nodeFilter: filters.node,
      serviceFilter: filters.service,
      tagFilter: filters.tag,
      version: 1,
    }, { datacenter, token, daemon: "gossipd" });
    return call.json({ ...renderEvent(event), LTime: 0 });
  } catch (error) {
    throw new HttpError(500, error instanceof Error ? error.message : String(error));
  }
}

/** Blocks while the newest event is the one of `index`. */
async function list(call: Call, daemons: EventDaemons): Promise<Answer> {
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
