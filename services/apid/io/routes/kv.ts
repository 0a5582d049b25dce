// /v1/kv/ (spec: http-api 5.8).

import { type KvCommandInput, KvVerb, type ReadReply } from "#proto/messages.js";
import { type Answer, jsonAnswer } from "../../core/answer.ts";
import { HttpError } from "../../core/http-error.ts";
import { quoteJson } from "../../core/json-writer.ts";
import { parseUint } from "../../core/params.ts";
import { flagsBytes, keyText, writeKvEntry } from "../../core/render/rows.ts";
import type { Call, Route } from "../call.ts";
import { BodyTooLarge } from "../exchange.ts";
import type { ReadRoutes } from "../read-route.ts";
import { isKvList, readKvList } from "../reads/kv-list.ts";
import type { ReadPlan } from "../reads/plan.ts";
import type { Writes } from "../writes.ts";

export interface KvDaemons {
  readRoutes: ReadRoutes;
  writes: Writes;
  valueBytesMax: number;
}

const notFound: Answer = { status: 404, contentType: "", headers: "", body: "" };

export function kvRoutes({ readRoutes, writes, valueBytesMax }: KvDaemons): Route[] {
  const apply = async (call: Call, kv: KvCommandInput) => {
    const outcome = await writes.apply({ kv }, readRoutes.optionsOf(call));
    return outcome;
  };
  const put = async (call: Call) => {
    const command = putCommand(call);
    command.value = await valueOf(call, valueBytesMax);
    const { ok } = await apply(call, command);
    return jsonAnswer(call.jsonText(ok ? "true" : "false"));
  };
  const remove = async (call: Call) => {
    const command = deleteCommand(call);
    const { ok } = await apply(call, command);
    const isTrue = command.verb !== KvVerb.KV_DELETE_CAS || ok;
    return jsonAnswer(call.jsonText(isTrue ? "true" : "false"));
  };
  return [{
    path: "/v1/kv/",
    acl: "key",
    enterprise: "both",
    isHot: true,
    methods: { GET: readRoutes.handler(kvPlan), PUT: put, DELETE: remove },
  }];
}

// ---- reads

function kvPlan(call: Call): ReadPlan {
  const { query, restBytes, layout } = call;
  const key = `${layout} ${restBytes.toString("latin1")}`;
  if (query.has("keys")) {
    const separator = query.get("separator") || query.get("seperator");
    return {
      key: `kv keys ${separator.length} ${separator}${key}`,
      query: { kvKeys: { prefix: restBytes, separator: Buffer.from(separator) } },
      render: (reply) => renderKeys(call, reply),
    };
  }
  if (query.has("recurse")) {
    return {
      key: `kv list ${key}`,
      query: { kvList: { prefix: restBytes } },
      method: readKvList,
      render: (reply) => renderList(call, reply),
    };
  }
  if (restBytes.length === 0) throw new HttpError(400, "Missing key name");
  const isRaw = query.has("raw");
  return {
    key: `kv ${isRaw ? "raw" : "get"} ${key}`,
    query: { kvGet: { key: restBytes } },
    isSingle: true,
    render: (reply) => isRaw ? renderRaw(reply) : renderEntries(call, reply),
  };
}

function renderKeys(call: Call, reply: ReadReply): Answer {
  if (reply.keys.length === 0 && call.restBytes.length > 0) return notFound;
  const texts = reply.keys.map((key) => quoteJson(keyText(key)));
  return jsonAnswer(call.jsonText(`[${texts.join(",")}]`));
}

function renderEntries(call: Call, reply: ReadReply): Answer {
  if (reply.kv.length === 0) return notFound;
  return jsonAnswer(call.jsonText(`[${reply.kv.map(writeKvEntry).join(",")}]`));
}

function renderList(call: Call, reply: ReadReply): Answer {
  if (!isKvList(reply) || reply.entryCount === 0) return notFound;
  const { entriesJson } = reply;
  if (!call.laysOut) return { ...jsonAnswer(""), body: entriesJson };
  return jsonAnswer(call.jsonText(entriesJson.toString()));
}

function renderRaw(reply: ReadReply): Answer {
  const [entry] = reply.kv;
  if (entry === undefined) return notFound;
  return {
    status: 200,
    contentType: "text/plain",
    headers: "X-Content-Type-Options: nosniff\r\nContent-Security-Policy: sandbox\r\n",
    // The reply's bytes are a view of a frame: kept bodies need their own.
    body: entry.value.slice(),
  };
}

// ---- writes

function putCommand(call: Call): KvCommandInput {
  const { query, restBytes } = call;
  if (restBytes.length === 0) throw new HttpError(400, "Missing key name");
  const exclusive = ["cas", "acquire", "release"].filter((name) => query.has(name));
  if (exclusive.length > 1) throw conflicting(call);
  const command: KvCommandInput = {
    key: restBytes,
    verb: KvVerb.KV_SET,
    flags: query.has("flags") ? flagsBytes(parseUint(query.get("flags"))) : undefined,
  };
  if (query.has("cas")) {
    command.verb = KvVerb.KV_CAS;
    command.index = Number(parseUint(query.get("cas")));
  } else if (query.has("acquire")) {
    command.verb = KvVerb.KV_LOCK;
    command.session = query.get("acquire");
  } else if (query.has("release")) {
    command.verb = KvVerb.KV_UNLOCK;
    command.session = query.get("release");
  }
  return command;
}

function deleteCommand(call: Call): KvCommandInput {
  const { query, restBytes } = call;
  const isTree = query.has("recurse");
  if (restBytes.length === 0 && !isTree) throw new HttpError(400, "Missing key name");
  if (isTree && query.has("cas")) throw conflicting(call);
  if (isTree) return { key: restBytes, verb: KvVerb.KV_DELETE_TREE };
  if (!query.has("cas")) return { key: restBytes, verb: KvVerb.KV_DELETE };
  const index = Number(parseUint(query.get("cas")));
  return { key: restBytes, verb: KvVerb.KV_DELETE_CAS, index };
}

function conflicting(call: Call): HttpError {
  return new HttpError(400, `Conflicting flags: ${call.query.encode()}\n`);
}

async function valueOf(call: Call, bytesMax: number): Promise<Uint8Array> {
  const { exchange } = call;
  const tooLarge = (bytes: number) =>
    new HttpError(
      413,
      `Request body(${bytes} bytes) too large, max size: ${bytesMax} bytes. ` +
        "See limits.kv_max_value_size in the agent's configuration.",
    );
  const declared = exchange.head.contentLength;
  if (declared > bytesMax) throw tooLarge(declared);
  const now = exchange.bodyNow();
  if (now !== undefined) {
    if (now.length > bytesMax) throw tooLarge(now.length);
    return now;
  }
  try {
    return await exchange.body(bytesMax);
  } catch (error) {
    if (error instanceof BodyTooLarge) throw tooLarge(bytesMax + 1);
    throw error;
  }
}
