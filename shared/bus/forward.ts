// Passing a call on without decoding it: relayd's whole work, and raftd's for the daemons beside it.

import type { Codec } from "#proto/messages.js";
import { CuriaError } from "../errors.ts";
import type { BusClient } from "./client.ts";
import { passedOn } from "./context.ts";
import type { IncomingCall } from "./incoming.ts";
import type { StreamReader, StreamWriter } from "./stream.ts";
import { type Call, EncodedMessage, type Method } from "./types.ts";

/** Where to pass a call on. It may refuse by throwing a CuriaError. */
export type Route = (
  method: Method,
  call: Call,
) => BusClient | Promise<BusClient> | undefined;

/** Asks for a way anew, after the one taken broke. */
type Again = () => ReturnType<Route>;

const rawCodec: Codec<Uint8Array, Uint8Array> = {
  create: (bytes) => bytes ?? new Uint8Array(0),
  // Payloads travel as EncodedMessage; the request of an upload is empty.
  encode: (_bytes, writer) => writer!,
  decode(source, length) {
    if (source instanceof Uint8Array) return source;
    const start = source.pos;
    source.pos += length!;
    return source.buf.subarray(start, source.pos);
  },
};

// The same method with payloads left as they are.
const rawMethods = new Map<string, Method>();

export function rawMethod(method: Method): Method {
  let raw = rawMethods.get(method.name);
  if (raw === undefined) {
    raw = { ...method, request: rawCodec, response: rawCodec };
    rawMethods.set(method.name, raw);
  }
  return raw;
}

/** The method with requests left as they came, in the bytes they came in: a view, for this turn. */
export function withRawRequest<M extends Method>(method: M) {
  return { ...method, request: rawCodec };
}

const retryFirstMs = 20;
const retryMostMs = 250;

/** Passes on; `call.method` is the raw one (`rawMethod`). */
export function forwardCall(
  call: IncomingCall,
  route: NonNullable<ReturnType<Route>>,
  payload: Uint8Array,
  again: Again,
): void {
  const pass = (client: BusClient) => {
    if (call.isOver) return;
    try {
      if (call.method.kind === "server-stream") {
        passStream(call, client, payload, call.openWriter());
      } else if (call.method.kind === "client-stream") passUpload(call, client);
      else passUnary(call, client, new EncodedMessage(payload), again, retryFirstMs);
    } catch (error) {
      call.fail(error);
    }
  };
  if (route instanceof Promise) route.then(pass).catch((error) => call.fail(error));
  else pass(route);
}

function passUnary(
  call: IncomingCall,
  client: BusClient,
  message: EncodedMessage,
  again: Again,
  delayMs: number,
): void {
  const context = passedOn(call.context, call.caller);
  const pending = client.unaryCall(
    call.method,
    message,
    context,
    call.deadlineMs,
    (bytes) => answerInOrder(call, bytes as Uint8Array),
    (error) => {
      if (!mayRetry(call, error, delayMs)) call.fail(error);
      else setTimeout(() => passAgain(call, message, again, delayMs), delayMs);
    },
  );
  call.onCancel(() => pending.abandon(new CuriaError("cancelled", "The caller gave up")));
}

async function passAgain(
  call: IncomingCall,
  message: EncodedMessage,
  again: Again,
  delayMs: number,
): Promise<void> {
  if (call.isOver) return;
  try {
    const client = await again();
    if (client === undefined) throw new CuriaError("unavailable", "The way to the callee is gone");
    passUnary(call, client, message, again, Math.min(delayMs * 2, retryMostMs));
  } catch (error) {
    call.fail(error);
  }
}

/** Methods whose answer says that a stream's items up to it have been sent before it: an item that
 *  waits here for its reader's credit must not be overtaken. */
const followed = new Map([["State.Confirm", "State.Watch"]]);

interface PassedStream {
  method: string;
  reader: StreamReader;
  writer: StreamWriter;
}
const passedStreams = new WeakMap<object, Set<PassedStream>>();

function answerInOrder(call: IncomingCall, bytes: Uint8Array): void {
  const answer = new EncodedMessage(bytes);
  const method = followed.get(call.method.name);
  if (method === undefined) return call.answer(answer);
  const behind = [...passedStreams.get(call.connection) ?? []]
    .filter((stream) => stream.method === method && isBehind(stream));
  if (behind.length === 0) return call.answer(answer);
  Promise.all(behind.map(caughtUp)).then(() => call.answer(answer));
}

function isBehind({ reader, writer }: PassedStream): boolean {
  return !writer.isClosed && (writer.queuedBytes > 0 || reader.waitingCount > 0);
}

async function caughtUp(stream: PassedStream): Promise<void> {
  while (isBehind(stream)) await stream.writer.drained();
}

/** Only what the connection itself broke, and only where sending twice is allowed. */
function mayRetry(call: IncomingCall, error: CuriaError, delayMs: number): boolean {
  return error.code === "unavailable" && call.method.resend !== "never" && !call.isOver &&
    performance.now() + delayMs < call.deadlineMs;
}

function passStream(
  call: IncomingCall,
  client: BusClient,
  payload: Uint8Array,
  writer: StreamWriter,
): void {
  const { reader } = client.serverStream(
    call.method,
    // A stream lives long: it must not keep the whole chunk that its request came in.
    new EncodedMessage(payload.slice()),
    passedOn(call.context, call.caller),
    call.deadlineMs,
  );
  const streams = passedStreams.get(call.connection) ?? new Set();
  passedStreams.set(call.connection, streams);
  const passed = { method: call.method.name, reader, writer };
  streams.add(passed);
  writer.onClose(() => streams.delete(passed));
  reader.onItem = (bytes) => {
    if (!writer.write(new EncodedMessage(bytes as Uint8Array))) reader.pause();
  };
  writer.onDrain(() => reader.resume());
  reader.onEnd = () => writer.end();
  reader.onError = (error) => writer.fail(error);
  writer.onClose(() => reader.cancel());
}

function passUpload(call: IncomingCall, client: BusClient): void {
  const { stream } = client.clientStream(
    call.method,
    passedOn(call.context, call.caller),
    call.deadlineMs,
  );
  const reader = call.reader!;
  reader.onItem = (bytes) => {
    if (!stream.write(new EncodedMessage(bytes as Uint8Array))) reader.pause();
  };
  stream.onDrain(() => reader.resume());
  reader.onEnd = () => stream.end();
  reader.onError = () => stream.cancel();
  stream.answer.then(
    (bytes) => call.answer(new EncodedMessage(bytes as Uint8Array)),
    (error) => call.fail(error),
  );
}
