// /v1/operator/keyring: the gossip keys of every pool there is. A server asks them: the WAN pool and
// its own LAN, then one server of each other datacenter its LAN.

import type { KeyringPool } from "#proto/messages.js";
import { Gossip } from "#proto/services.ts";
import type { BusClient } from "#shared/bus/client.ts";
import { type Answer, emptyAnswer } from "../../core/answer.ts";
import { HttpError } from "../../core/http-error.ts";
import { object, text } from "../../core/json-schema.ts";
import type { Json } from "../../core/json-writer.ts";
import { parseBool } from "../../core/params.ts";
import type { Call, Route } from "../call.ts";
import type { ReadRoutes } from "../read-route.ts";
import { otherDatacenters } from "./datacenters.ts";

export interface KeyringDaemons {
  readRoutes: ReadRoutes;
  /** The way to a server's gossipd. */
  state: BusClient;
  datacenter: string;
}

type Operation = "list" | "install" | "use" | "remove";

/** Every member of a pool is asked, and a silent one is waited for. */
const timeoutMs = 60_000;
const schema = object("keyringArgs", { fields: { Key: text } });

export function keyringRoutes(daemons: KeyringDaemons): Route[] {
  return [{
    path: "/v1/operator/keyring",
    methods: {
      GET: (call) => keyring(call, daemons, "list"),
      POST: (call) => keyring(call, daemons, "install"),
      PUT: (call) => keyring(call, daemons, "use"),
      DELETE: (call) => keyring(call, daemons, "remove"),
    },
    acl: "keyring:read, write",
    enterprise: "none",
  }];
}

async function keyring(
  call: Call,
  daemons: KeyringDaemons,
  operation: Operation,
): Promise<Answer> {
  const { query } = call;
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
  const key = operation === "list" ? "" : ((await call.jsonBody(schema)).Key ?? "") as string;
  const { token } = daemons.readRoutes.optionsOf(call);
  const pools = await operate(daemons, { operation, key, relayFactor, localOnly }, token);
  const failures = pools.filter((pool) => pool.error !== "");
  if (failures.length > 0) throw new HttpError(500, keyringErrors(failures));
  return operation === "list" ? call.json(pools.map(renderPool)) : emptyAnswer;
}

interface Order {
  operation: Operation;
  key: string;
  relayFactor: number;
  localOnly: boolean;
}

/** The WAN pool first, our LAN next, then the others' by name. */
async function operate(
  { state, datacenter }: KeyringDaemons,
  order: Order,
  token: string,
): Promise<KeyringPool[]> {
  const ask = async (asked: string, localOnly: boolean) => {
    const options = { datacenter: asked, daemon: "gossipd", token, timeoutMs };
    return (await state.of(Gossip).keyring({ ...order, localOnly }, options)).pools;
  };
  const others = order.localOnly ? [] : await otherDatacenters(state, datacenter);
  const answers = await Promise.all([
    ask(datacenter, order.localOnly),
    ...others.map((other) => ask(other, true)),
  ]);
  return answers.flatMap((pools) => pools.toSorted((a, b) => Number(b.wan) - Number(a.wan)));
}

function renderPool(pool: KeyringPool): Json {
  return {
    WAN: pool.wan,
    Datacenter: pool.datacenter,
    Segment: pool.segment,
    Messages: Object.keys(pool.messages).length === 0
      ? undefined
      : new Map(Object.entries(pool.messages)),
    Keys: new Map(Object.entries(pool.keys)),
    PrimaryKeys: new Map(Object.entries(pool.primaryKeys)),
    NumNodes: pool.numNodes,
  };
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
