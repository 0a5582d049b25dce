// The messages of memberlist: type bytes and fields. A leaf message is its type byte and a body.
import { Reader, WireError } from "./reader.ts";
import {
  boolean,
  type Of,
  omitEmpty,
  raw,
  struct,
  text,
  uint16,
  uint32,
  uint53,
  uint8,
} from "./schema.ts";
import { Writer } from "./writer.ts";

export const messageTypes = {
  ping: 0,
  indirectPing: 1,
  ackResp: 2,
  suspect: 3,
  alive: 4,
  dead: 5,
  pushPull: 6,
  compound: 7,
  user: 8,
  compress: 9,
  encrypt: 10,
  nackResp: 11,
  hasCrc: 12,
  err: 13,
  hasLabel: 244,
} as const;

const source = {
  SourceAddr: omitEmpty(raw),
  SourceNode: omitEmpty(text),
  SourcePort: omitEmpty(uint16),
};

export const ping = struct({ Node: text, SeqNo: uint32, ...source });
export const indirectPing = struct({
  Nack: boolean,
  Node: text,
  Port: uint16,
  SeqNo: uint32,
  ...source,
  Target: raw,
});
export const ackResp = struct({ Payload: raw, SeqNo: uint32 });
export const nackResp = struct({ SeqNo: uint32 });
/** Suspect and dead have one shape. */
export const accusation = struct({ From: text, Incarnation: uint32, Node: text });
export const alive = struct({
  Addr: raw,
  Incarnation: uint32,
  Meta: raw,
  Node: text,
  Port: uint16,
  Vsn: raw,
});
export const err = struct({ Error: text });
export const compress = struct({ Algo: uint8, Buf: raw });
export const userHeader = struct({ UserMsgLen: uint53 });
export const pushPullHeader = struct({ Join: boolean, Nodes: uint53, UserStateLen: uint53 });
export const pushPullNode = struct({
  Addr: raw,
  Incarnation: uint32,
  Meta: raw,
  Name: text,
  Port: uint16,
  State: uint8,
  Vsn: raw,
});

export type Ping = Of<typeof ping>;
export type IndirectPing = Of<typeof indirectPing>;
export type AckResp = Of<typeof ackResp>;
export type Accusation = Of<typeof accusation>;
export type Alive = Of<typeof alive>;
export type PushPullNode = Of<typeof pushPullNode>;

export interface PushPull {
  join: boolean;
  nodes: PushPullNode[];
  userState: Uint8Array;
}

/** How a peer names a member's state in a push/pull. */
export const nodeStates = { alive: 0, suspect: 1, dead: 2, left: 3 } as const;

export const userBytesMax = 20 * 1024 * 1024;
export const pushPullNodesMax = 1_048_576;

export type Message =
  | { kind: "ping"; body: Ping }
  | { kind: "indirectPing"; body: IndirectPing }
  | { kind: "ackResp"; body: AckResp }
  | { kind: "nackResp"; body: Of<typeof nackResp> }
  | { kind: "suspect"; body: Accusation }
  | { kind: "alive"; body: Alive }
  | { kind: "dead"; body: Accusation }
  | { kind: "user"; body: Uint8Array };

/** A leaf message of a packet. */
export function decodeMessage(bytes: Uint8Array): Message {
  const reader = new Reader(bytes);
  const type = reader.byte();
  switch (type) {
    case messageTypes.ping:
      return { kind: "ping", body: ping.read(reader) };
    case messageTypes.indirectPing:
      return { kind: "indirectPing", body: indirectPing.read(reader) };
    case messageTypes.ackResp:
      return { kind: "ackResp", body: ackResp.read(reader) };
    case messageTypes.nackResp:
      return { kind: "nackResp", body: nackResp.read(reader) };
    case messageTypes.suspect:
      return { kind: "suspect", body: accusation.read(reader) };
    case messageTypes.alive:
      return { kind: "alive", body: alive.read(reader) };
    case messageTypes.dead:
      return { kind: "dead", body: accusation.read(reader) };
    case messageTypes.user:
      return { kind: "user", body: bytes.slice(1) };
    default:
      throw new WireError(`a packet must not hold a message of type ${type}`);
  }
}

export function encodeMessage(message: Message): Uint8Array {
  switch (message.kind) {
    case "ping":
      return ping.encode(message.body, messageTypes.ping);
    case "indirectPing":
      return indirectPing.encode(message.body, messageTypes.indirectPing);
    case "ackResp":
      return ackResp.encode(message.body, messageTypes.ackResp);
    case "nackResp":
      return nackResp.encode(message.body, messageTypes.nackResp);
    case "suspect":
      return accusation.encode(message.body, messageTypes.suspect);
    case "alive":
      return alive.encode(message.body, messageTypes.alive);
    case "dead":
      return accusation.encode(message.body, messageTypes.dead);
    case "user":
      return frameUser(message.body);
    default:
      return message satisfies never;
  }
}

/** A delegate's message, framed for a packet. */
export function frameUser(body: Uint8Array): Uint8Array {
  const framed = new Uint8Array(body.length + 1);
  framed[0] = messageTypes.user;
  framed.set(body, 1);
  return framed;
}

export type StreamMessage =
  | { kind: "ping"; body: Ping }
  | { kind: "ackResp"; body: AckResp }
  | { kind: "pushPull"; body: PushPull }
  | { kind: "user"; body: Uint8Array }
  | { kind: "err"; body: Of<typeof err> };

/** The one message of a stream's direction, after its layers are removed. */
export function decodeStreamMessage(bytes: Uint8Array): StreamMessage {
  const reader = new Reader(bytes);
  const type = reader.byte();
  switch (type) {
    case messageTypes.ping:
      return { kind: "ping", body: ping.read(reader) };
    case messageTypes.ackResp:
      return { kind: "ackResp", body: ackResp.read(reader) };
    case messageTypes.err:
      return { kind: "err", body: err.read(reader) };
    case messageTypes.user:
      return { kind: "user", body: reader.take(checkedLength(userHeader.read(reader).UserMsgLen)) };
    case messageTypes.pushPull:
      return { kind: "pushPull", body: readPushPull(reader) };
    default:
      throw new WireError(`a stream must not hold a message of type ${type}`);
  }
}

export function encodeStreamMessage(message: StreamMessage): Uint8Array {
  switch (message.kind) {
    case "ping":
      return ping.encode(message.body, messageTypes.ping);
    case "ackResp":
      return ackResp.encode(message.body, messageTypes.ackResp);
    case "err":
      return err.encode(message.body, messageTypes.err);
    case "user": {
      const writer = new Writer();
      writer.byte(messageTypes.user);
      userHeader.write(writer, { UserMsgLen: message.body.length });
      writer.append(message.body);
      return writer.finish();
    }
    case "pushPull":
      return encodePushPull(message.body);
    default:
      return message satisfies never;
  }
}

function encodePushPull(state: PushPull): Uint8Array {
  const writer = new Writer();
  writer.byte(messageTypes.pushPull);
  pushPullHeader.write(writer, {
    Join: state.join,
    Nodes: state.nodes.length,
    UserStateLen: state.userState.length,
  });
  for (const node of state.nodes) pushPullNode.write(writer, node);
  writer.append(state.userState);
  return writer.finish();
}

function readPushPull(reader: Reader): PushPull {
  const header = readPushPullHeader(reader);
  const nodes: PushPullNode[] = [];
  for (let left = header.Nodes; left > 0; left--) nodes.push(pushPullNode.read(reader));
  return { join: header.Join, nodes, userState: reader.take(header.UserStateLen) };
}

export function readPushPullHeader(reader: Reader): Of<typeof pushPullHeader> {
  const header = pushPullHeader.read(reader);
  checkedLength(header.UserStateLen);
  if (header.Nodes > pushPullNodesMax) {
    throw new WireError(`a push/pull announces ${header.Nodes} nodes`);
  }
  return header;
}

export function checkedLength(length: number): number {
  if (length > userBytesMax) throw new WireError(`${length} bytes of user state are announced`);
  return length;
}
