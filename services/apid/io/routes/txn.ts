// /v1/txn (spec: http-api 5.10).

import type { TxnOutcome, TxnResult } from "#proto/messages.js";
import { State } from "#proto/services.ts";
import type { BusClient } from "#shared/bus/client.ts";
import { txnFromBody } from "../../core/bodies/txn.ts";
import { type Answer, jsonAnswer } from "../../core/answer.ts";
import { HttpError } from "../../core/http-error.ts";
import { type Json, type JsonFields, Raw, writeJson } from "../../core/json-writer.ts";
import type { ReadOptions } from "../../core/params.ts";
import { renderCheck, renderNode, renderService } from "../../core/render/catalog.ts";
import { writeKvEntry } from "../../core/render/rows.ts";
import { type Call, decoding, type Route } from "../call.ts";
import type { ReadRoutes } from "../read-route.ts";
import type { Writes } from "../writes.ts";

export interface TxnDaemons {
  readRoutes: ReadRoutes;
  writes: Writes;
  state: BusClient;
  datacenter: string;
  bodyBytesMax: number;
  valueBytesMax: number;
}

const operationsMax = 128;

export function txnRoutes(daemons: TxnDaemons): Route[] {
  const put = async (call: Call) => {
    const bytesMax = Math.max(daemons.bodyBytesMax, daemons.valueBytesMax);
    const declared = call.exchange.head.contentLength;
    if (declared > bytesMax) {
      throw new HttpError(
        413,
        `Request body(${declared} bytes) too large, max size: ${bytesMax} bytes. ` +
          "See limits.txn_max_req_len in the agent's configuration.",
      );
    }
    const body = await call.bodyText(bytesMax);
    const txn = decoding(
      "Failed to parse body: ",
      () => txnFromBody(body, daemons.valueBytesMax),
    );
    const { operations, tooLarge } = txn;
    if (operations.length > operationsMax) {
      throw new HttpError(
        413,
        `Transaction contains too many operations (${operations.length} > ${operationsMax})`,
      );
    }
    if (tooLarge !== undefined) {
      const { key, bytes } = tooLarge;
      const limit = daemons.valueBytesMax;
      throw new HttpError(413, `Value for key "${key}" is too large (${bytes} > ${limit} bytes)`);
    }
    const options = daemons.readRoutes.optionsOf(call);
    if (txn.unknown.length > 0) return refuseUnknown(call, txn.unknown, !txn.hasWrites);
    return txn.hasWrites
      ? await write(call, daemons, operations, options)
      : await read(call, daemons, operations, options);
  };
  return [{
    path: "/v1/txn",
    acl: "per operation",
    enterprise: "none",
    methods: { PUT: put },
  }];
}

type Operations = ReturnType<typeof txnFromBody>["operations"];

async function write(
  call: Call,
  daemons: TxnDaemons,
  operations: Operations,
  options: ReadOptions,
): Promise<Answer> {
  const outcome = await daemons.writes.apply({ txn: { operations } }, options);
  return answerOf(call, outcome.txn, daemons.datacenter, {}, "");
}

async function read(
  call: Call,
  daemons: TxnDaemons,
  operations: Operations,
  options: ReadOptions,
): Promise<Answer> {
  const reply = await daemons.state.of(State).read({ query: { txn: { operations } } }, {
    token: options.token,
    datacenter: options.datacenter,
    consistency: options.mode,
  });
  const isStale = options.mode === "stale";
  const knownLeader = isStale ? reply.meta?.knownLeader === true : true;
  const lastContactMs = isStale ? reply.meta?.lastContactMs ?? 0 : 0;
  return answerOf(
    call,
    reply.txn,
    daemons.datacenter,
    metaFields(1, knownLeader, lastContactMs),
    contactHeaders(knownLeader, lastContactMs),
  );
}

function contactHeaders(knownLeader: boolean, lastContactMs: number): string {
  return `X-Consul-Knownleader: ${knownLeader}\r\nX-Consul-Lastcontact: ${lastContactMs}\r\n`;
}

/** What a read-only transaction shows beside its results. */
function metaFields(index: number, knownLeader: boolean, lastContactMs: number): JsonFields {
  return {
    Index: index,
    LastContact: lastContactMs * 1_000_000,
    KnownLeader: knownLeader,
    ConsistencyLevel: "",
    NotModified: false,
    Backend: 0,
    ResultsFilteredByACLs: false,
  };
}

function answerOf(
  call: Call,
  outcome: TxnOutcome | null,
  datacenter: string,
  meta: JsonFields,
  headers: string,
): Answer {
  const errors = outcome?.errors ?? [];
  const isRefused = errors.length > 0;
  const results = (outcome?.results ?? []).map((result) => renderResult(result, datacenter));
  const body = {
    Results: isRefused ? null : results,
    Errors: isRefused
      ? errors.map((error) => ({ OpIndex: error.opIndex, What: error.what }))
      : null,
    ...meta,
  };
  const answer = jsonAnswer(call.jsonText(writeJson(body)), headers);
  return isRefused ? { ...answer, status: 409 } : answer;
}

function renderResult(result: TxnResult, datacenter: string): Json {
  if (result.kv) return { KV: new Raw(writeKvEntry(result.kv)) };
  if (result.node) return { Node: renderNode(result.node, datacenter) };
  if (result.service) return { Service: renderService(result.service) };
  if (result.check) return { Check: renderCheck(result.check) };
  return {};
}

function refuseUnknown(
  call: Call,
  unknown: { opIndex: number; what: string }[],
  isRead: boolean,
): Answer {
  const errors = unknown.map((error) => ({ OpIndex: error.opIndex, What: error.what }));
  const meta = isRead ? metaFields(0, false, 0) : {};
  const text = call.jsonText(writeJson({ Results: null, Errors: errors, ...meta }));
  return { ...jsonAnswer(text, isRead ? contactHeaders(false, 0) : ""), status: 409 };
}
