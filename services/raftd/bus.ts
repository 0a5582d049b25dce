// What raftd answers on the bus: one method per call of proto/raftd.proto.

import {
  type Chunk,
  type ChunkInput,
  Command,
  type Empty,
  type Outcome,
  type Query,
  type ReadMeta,
  ReadReply,
  type ReadRequest,
} from "#proto/messages.js";
import { Raft, State } from "#proto/services.ts";
import { withRawRequest } from "#shared/bus/forward.ts";
import type { BusServer } from "#shared/bus/server.ts";
import {
  type Call,
  EncodedMessage,
  type Handlers,
  type InStream,
  type OutStream,
} from "#shared/bus/types.ts";
import { CuriaError } from "#shared/errors.ts";
import type { ReadMode } from "./core/raft/messages.ts";
import type { Node } from "./io/node.ts";

/** How long a call without a deadline may wait for a leader. */
const TIMEOUT_MS = 60_000;
/** Large archives take their time. */
const RESTORE_TIMEOUT_MS = 600_000;

/** Serves raftd's methods; the same on the local socket and on the server port. */
export function serveRaftd(server: BusServer, node: Node): void {
  server.serve(state, stateHandlers(node));
  server.serve(Raft, raftHandlers(node));
}

/** Commands reach the log as their callers encoded them, whatever release they are of. */
const state = {
  ...State,
  methods: { ...State.methods, apply: withRawRequest(State.methods.apply) },
};

function stateHandlers(node: Node): Handlers<typeof state> {
  return {
    apply: (command, call) => apply(node, command, call),
    read: (request, call) => read(node, request, call),
    confirm: (_request, call) => confirm(node, call),
    watch: (_request, call, stream) => node.watchStreams.open(call, stream),
    watchUpdate: (change, call) => {
      node.watchStreams.update(change, call);
      return {};
    },
    subscribe: (request, _call, stream) => node.subscriptions.open(request, stream),
    renewSession: (request, call) => node.renewSession(request.id, call),
  };
}

function apply(node: Node, command: Uint8Array, call: Call): Promise<Outcome> {
  const { client, sequence, floor } = call.context;
  refuseMalformed(command);
  const outcome = node.proposals.propose(command, { client, sequence, floor }, remainingMs(call));
  if (client === "") return outcome;
  const copy = new EncodedMessage(command.slice());
  return outcome.catch((error) => {
    if (!node.routes.hasLeft || error.code !== "unavailable") throw error;
    return node.routes.applyElsewhere(copy, call);
  });
}

/** What does not decode must not reach a log that every server has to apply. */
function refuseMalformed(command: Uint8Array): void {
  try {
    Command.decode(command);
  } catch (error) {
    const { message } = error as Error;
    throw new CuriaError("invalid-argument", `Expected a command but it is malformed: ${message}`);
  }
}

type Answer = ReadReply | EncodedMessage;

function read(node: Node, request: ReadRequest, call: Call): Answer | Promise<Answer> {
  const { query, knownIndex } = request;
  if (query === null) throw new CuriaError("invalid-argument", "Expected a query but got none");
  let attempt: Attempt = { isVoid: false };
  const rows = (): Answer | Promise<Answer> => {
    const { store } = node;
    if (isLong(query) && (knownIndex === 0 || store.indexOf(query) !== knownIndex)) {
      attempt = { isVoid: false };
      return readInSlices(node, query, call, attempt);
    }
    const reply = store.read(query, knownIndex);
    return { ...reply, meta: { ...reply.meta!, ...node.contact() } };
  };
  const mode = modeOf(call);
  if (mode === "stale") {
    refuseUnjoined(node);
    return rows();
  }
  if (mode === "default" && node.gate.hasLease()) {
    const reply = rows();
    // A pause may lie between the first look at the clock and the rows.
    if (node.gate.hasLease()) return reply;
    // Nobody will hear of this one, not even that its caller gave up.
    attempt.isVoid = true;
    if (reply instanceof Promise) reply.catch(() => {});
  }
  return node.gate.wait(mode, remainingMs(call)).then(rows);
}

function isLong({ kind }: Query): boolean {
  return kind === "kvList" || kind === "kvKeys" || kind === "nodeDump";
}

interface Attempt {
  /** Another one takes its place: nothing of it may be sent. */
  isVoid: boolean;
}

/** Others have their turn between two slices, yet all rows are of the moment of the first. Encoded
 *  replies that follow each other read as one whose lists are joined; each leaves as it is ready. */
async function readInSlices(
  node: Node,
  query: Query,
  call: Call,
  attempt: Attempt,
): Promise<EncodedMessage> {
  for (const slice of node.store.readSlices(query)) {
    const isLast = slice.meta !== null;
    const meta = isLast ? { ...slice.meta, ...node.contact() } : null;
    const bytes = ReadReply.encode({ ...slice, meta }).finish();
    if (isLast) return new EncodedMessage(bytes);
    // Whether the first slice may be sent at all is known only after this turn.
    await new Promise<void>((resolve) => setImmediate(resolve));
    if (call.isCancelled || attempt.isVoid) break;
    call.answerPart(bytes);
  }
  throw new CuriaError("cancelled", "The caller gave up");
}

function confirm(node: Node, call: Call): ReadMeta | Promise<ReadMeta> {
  const meta = (): ReadMeta => {
    const { index, generation } = node.position();
    return { ...node.contact(), index, generation, appliedIndex: index, notFound: false };
  };
  const answer = (): ReadMeta | Promise<ReadMeta> => {
    const flushed = node.watchStreams.flushed(call.connection);
    return flushed === undefined ? meta() : flushed.then(answer);
  };
  const mode = modeOf(call);
  if (mode === "stale") return answer();
  if (mode === "default" && node.gate.hasLease()) return answer();
  return node.gate.wait(mode, remainingMs(call)).then(answer);
}

function raftHandlers(node: Node): Handlers<typeof Raft> {
  return {
    getConfiguration: () => node.operator.configuration(),
    leader: () => node.operator.leader(),
    stats: () => node.operator.stats(),
    autopilotHealth: () => node.autopilotHealth(),
    removePeer: (request) => node.operator.removePeer(request).then(empty),
    transferLeader: (request) => node.operator.transferLeader(request).then(empty),
    handOver: () => node.operator.handOver().then(empty),
    saveSnapshot: (_request, call, stream) => saveSnapshot(node, call, stream),
    restoreSnapshot: (items, call) => restoreSnapshot(node, items, call),
  };
}

async function saveSnapshot(node: Node, call: Call, out: OutStream<ChunkInput>): Promise<void> {
  const mode = modeOf(call);
  if (mode === "stale") refuseUnjoined(node);
  // The archive holds all that was acknowledged before it was asked for.
  else await node.gate.wait("consistent", remainingMs(call));
  await node.snapshots.saves.save(call, out);
}

async function restoreSnapshot(node: Node, items: InStream<Chunk>, call: Call): Promise<ReadMeta> {
  const timeoutMs = Math.min(RESTORE_TIMEOUT_MS, call.deadlineMs - performance.now());
  await node.snapshots.restores.restore(items, timeoutMs);
  const { index, generation } = node.position();
  return { ...node.contact(), index, generation, appliedIndex: index, notFound: false };
}

function modeOf(call: Call): ReadMode | "stale" {
  const { consistency } = call.context;
  if (consistency === "consistent" || consistency === "stale") return consistency;
  return "default";
}

/** A server that has never belonged to a cluster has nothing to say, not even stale. */
function refuseUnjoined(node: Node): void {
  if (node.position().index === 0) throw new CuriaError("no-leader", "No cluster leader");
}

function remainingMs(call: Call): number {
  return Math.min(TIMEOUT_MS, call.deadlineMs - performance.now());
}

function empty(): Empty {
  return {};
}
