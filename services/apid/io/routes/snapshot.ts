// /v1/snapshot (spec: http-api 5.14).

import type { Chunk } from "#proto/messages.js";
import { Raft } from "#proto/services.ts";
import type { BusClient } from "#shared/bus/client.ts";
import type { CuriaError } from "#shared/errors.ts";
import { emptyAnswer, readHeaders } from "../../core/answer.ts";
import { HttpError } from "../../core/http-error.ts";
import { parseDatacenter, parseToken, type ReadMode } from "../../core/params.ts";
import { type ApiLines, type Call, type Handler, type Route, written } from "../call.ts";

export interface SnapshotDaemons {
  state: BusClient;
  datacenter: string;
  lines: ApiLines;
}

type Step = IteratorResult<Chunk, unknown>;

/** A client that does not read for so long has gone. */
const saveTimeoutMs = 600_000;

export function snapshotRoutes(daemons: SnapshotDaemons): Route[] {
  const get: Handler = (call) => save(call, daemons);
  const put: Handler = (call) => restore(call, daemons);
  return [{
    path: "/v1/snapshot",
    methods: { GET: get, PUT: put },
    acl: "acl:write",
    enterprise: "none",
  }];
}

function target(call: Call, { datacenter }: SnapshotDaemons) {
  return {
    datacenter: parseDatacenter(call.query, datacenter),
    token: parseToken(call.query, call, ""),
    timeoutMs: saveTimeoutMs,
  };
}

async function save(call: Call, daemons: SnapshotDaemons): Promise<typeof written> {
  const mode: ReadMode = call.query.has("stale") ? "stale" : "default";
  const options = target(call, daemons);
  const stream = daemons.state.of(Raft).saveSnapshot({}, {
    ...options,
    consistency: mode,
    target: mode === "stale" ? "" : "leader",
  });
  const chunks = stream[Symbol.asyncIterator]();
  const first = await chunks.next();
  if (first.done || first.value.meta === null) throw new HttpError(500, "the snapshot is empty");
  const { index, knownLeader, lastContactMs } = first.value.meta;
  const headers = readHeaders({
    index,
    knownLeader,
    lastContactMs,
    mode,
    showsConsistency: false,
    isStreaming: false,
  });
  const out = call.exchange.startStream(
    200,
    `Content-Type: application/x-gzip\r\n${daemons.lines()}${headers}`,
  );
  call.exchange.onAbort(() => stream.cancel());
  try {
    for (let chunk: Step = first; !chunk.done; chunk = await chunks.next()) {
      if (out.isClosed) break;
      await out.write(chunk.value.bytes);
    }
    out.end();
  } catch {
    out.abort();
  }
  return written;
}

async function restore(call: Call, daemons: SnapshotDaemons) {
  if (call.query.has("stale")) throw new HttpError(500, "stale not allowed for restore");
  const upload = daemons.state.of(Raft).restoreSnapshot({
    ...target(call, daemons),
    target: "leader",
  });
  // A refusal may come while we still send.
  let refusal: unknown;
  upload.answer.catch((error) => refusal = error);
  try {
    for await (const part of call.exchange.bodyParts()) {
      if (refusal !== undefined || upload.isClosed) break;
      if (!upload.write({ bytes: part })) await upload.drained();
    }
    upload.end();
    await upload.answer;
  } catch (error) {
    upload.cancel();
    throw new HttpError(500, (error as CuriaError).message);
  }
  return emptyAnswer;
}
