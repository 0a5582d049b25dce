// What users of the bus see: methods, contexts, calls, streams. The parts that do it are server.ts
// (BusServer) and client.ts (BusClient).

import type { Codec, ContextInput } from "#proto/messages.js";
import type { CuriaError } from "../errors.ts";

export type { Codec };

/** Who calls, from the most trusted to the least: a daemon of this node, a server of this
 *  datacenter, a client node of it, another datacenter. */
export const callerClasses = ["local", "server", "client", "remote"] as const;
export type CallerClass = (typeof callerClasses)[number];

export type MethodKind = "unary" | "server-stream" | "client-stream";
export type Resend = "safe" | "sequenced" | "never";
export type Consistency = "" | "default" | "consistent" | "stale";

/** A row of proto/gen/services.ts. */
export interface Method {
  readonly name: string;
  readonly kind: MethodKind;
  // deno-lint-ignore no-explicit-any
  readonly request: Codec<any, any>;
  // deno-lint-ignore no-explicit-any
  readonly response: Codec<any, any>;
  readonly callers: readonly CallerClass[];
  readonly resend: Resend;
}

export interface Service {
  readonly name: string;
  readonly daemon: string;
  readonly methods: Readonly<Record<string, Method>>;
}

/** What this process says of itself in the first frame. */
export interface Identity {
  daemon: string;
  release: string;
  nodeId: string;
  node: string;
  datacenter: string;
}

/** The context of a call as it arrived (proto/envelope.proto Context). */
export interface CallContext {
  readonly token: string;
  readonly datacenter: string;
  /** "" (the called daemon's own node), "leader", "any" or "node:<name>". */
  readonly target: string;
  readonly daemon: string;
  readonly partition: string;
  readonly namespace: string;
  readonly trace: string;
  /** What was left of the deadline when it arrived; 0: no deadline. */
  readonly timeoutMs: number;
  readonly consistency: string;
  readonly hops: number;
  /** Exactly-once for writes; `client` is empty when the method is not sequenced. */
  readonly client: string;
  readonly sequence: number;
  readonly floor: number;
  readonly caller: string;
}

/** One incoming call, as its handler sees it. */
export interface Call {
  readonly method: Method;
  readonly context: CallContext;
  /** The less trusted of what the connection is and what the context says. */
  readonly caller: CallerClass;
  /** Monotonic time (performance.now) when the caller stops waiting; Infinity: never. */
  readonly deadlineMs: number;
  /** The connection it came on; the same object for all calls of one connection. */
  readonly connection: Peer;
  /** True once the caller cancelled, its deadline passed or its connection closed. */
  readonly isCancelled: boolean;
  /** Answered, failed or cancelled. */
  readonly isOver: boolean;
  /** Made when first read; cheaper: `onCancel`. */
  readonly signal: AbortSignal;
  /** Called once when `isCancelled` becomes true; at once when it already is. */
  onCancel(listener: () => void): void;
  /** Sends the beginning of a long answer's bytes; what the handler returns then follows it. */
  answerPart(bytes: Uint8Array): void;
  /** Ends it with an error from outside its handler. */
  fail(error: unknown): void;
}

/** The other end of a connection. */
export interface Peer {
  readonly id: number;
  readonly identity: Identity;
  readonly caller: CallerClass;
  /** "" on a Unix socket. */
  readonly address: string;
  readonly isClosed: boolean;
  onClose(listener: () => void): void;
  /** Bytes that wait for the socket. */
  readonly queuedBytes: number;
}

/** A message that is encoded already: where a handler may return or write one instead. */
export class EncodedMessage {
  readonly bytes: Uint8Array;

  constructor(bytes: Uint8Array) {
    this.bytes = bytes;
  }
}

/** The writing end of a stream. */
export interface OutStream<Input> {
  /** Sends an item. False when the receiver's credit or the socket is used up: the item is queued,
   *  and a well-behaved writer awaits `drained()` before the next. After the end it does nothing. */
  write(item: Input | EncodedMessage): boolean;
  readonly isWritable: boolean;
  readonly isClosed: boolean;
  /** Bytes written that the receiver's credit does not cover. */
  readonly queuedBytes: number;
  /** Resolves when more can be written, or the stream is closed (see `isClosed`). */
  drained(): Promise<void>;
  /** Like `drained`, without a promise: called each time writing becomes possible again. */
  onDrain(listener: () => void): void;
  end(): void;
  fail(error: CuriaError): void;
  /** The stream is over for whatever reason: ended, failed, cancelled, connection lost. */
  onClose(listener: () => void): void;
}

/** The reading end of a stream. Either set the callbacks in the turn it was made, or iterate.
 *  Iterating throws the CuriaError that the stream failed with. */
export interface InStream<Message> extends AsyncIterable<Message> {
  onItem: ((item: Message) => void) | undefined;
  onEnd: (() => void) | undefined;
  onError: ((error: CuriaError) => void) | undefined;
  /** Stops granting credit until `resume`; only with callbacks. */
  pause(): void;
  resume(): void;
  cancel(): void;
}

/** An outgoing client stream: items out, one answer back. */
export interface ClientStream<Input, Message> extends OutStream<Input> {
  readonly answer: Promise<Message>;
  cancel(): void;
}

type RequestOf<M extends Method> = M["request"] extends Codec<infer Message, infer _> ? Message
  : never;
type RequestInputOf<M extends Method> = M["request"] extends Codec<infer _, infer Input> ? Input
  : never;
type ResponseOf<M extends Method> = M["response"] extends Codec<infer Message, infer _> ? Message
  : never;
type ResponseInputOf<M extends Method> = M["response"] extends Codec<infer _, infer Input> ? Input
  : never;
type Answer<M extends Method> = ResponseInputOf<M> | EncodedMessage;

/** A method as its daemon writes it. A unary handler that returns a plain value costs no promise. A
 *  thrown CuriaError reaches the caller with its code, anything else as `internal`. A stream stays
 *  open after its handler returned, until end(), fail() or the caller's cancel. */
export type Handler<M extends Method> = M["kind"] extends "unary"
  ? (request: RequestOf<M>, call: Call) => Answer<M> | Promise<Answer<M>>
  : M["kind"] extends "server-stream"
    ? (request: RequestOf<M>, call: Call, stream: OutStream<ResponseInputOf<M>>) =>
      | void
      | Promise<void>
  : (items: InStream<RequestOf<M>>, call: Call) => Answer<M> | Promise<Answer<M>>;

/** All methods of a service; one that is left out answers `unimplemented`. */
export type Handlers<S extends Service> = {
  [K in keyof S["methods"]]?: Handler<S["methods"][K]>;
};

export interface CallOptions {
  token?: string;
  datacenter?: string;
  target?: string;
  daemon?: string;
  partition?: string;
  namespace?: string;
  consistency?: Consistency;
  trace?: string;
  /** Default 10 s for unary calls, none for streams. 0: none. */
  timeoutMs?: number;
  signal?: AbortSignal;
  /** The incoming call this one is made for: its token, trace and what is left of its deadline are
   *  taken over where not given here. */
  on?: Call;
  /** Fields of the context as they are; they win over the options above. */
  context?: ContextInput;
}

/** A method as its callers see it. */
export type ClientMethod<M extends Method> = M["kind"] extends "unary"
  ? (request: RequestInputOf<M> | EncodedMessage, options?: CallOptions) => Promise<ResponseOf<M>>
  : M["kind"] extends "server-stream" ? (
      request: RequestInputOf<M> | EncodedMessage,
      options?: CallOptions,
    ) => InStream<ResponseOf<M>>
  : (options?: CallOptions) => ClientStream<RequestInputOf<M>, ResponseOf<M>>;

export type Client<S extends Service> = {
  readonly [K in keyof S["methods"]]: ClientMethod<S["methods"][K]>;
};

export type Address = { path: string } | { host: string; port: number };

/** Where the bus reports what it sees; shared/log.ts and shared/metrics.ts satisfy these. */
export interface BusLog {
  debug(fields: object, message: string): void;
  info(fields: object, message: string): void;
  warn(fields: object, message: string): void;
}

/** Counts of one BusServer or BusClient since its start. */
export interface BusCounts {
  calls: number;
  failures: number;
  connectionsOpened: number;
  connectionsClosed: number;
  reconnects: number;
  resends: number;
  /** Frames that could not be decoded, or that broke the protocol. */
  badFrames: number;
  oversizedFrames: number;
  /** Payloads that could not be decoded. */
  badPayloads: number;
  overloads: number;
  forwarded: number;
  bytesIn: number;
  bytesOut: number;
}
