// The messages of Serf, carried in memberlist's user messages, push/pull user state, query payloads
// and ack payloads. First byte: Serf's type.
import { Reader, WireError } from "./reader.ts";
import {
  boolean,
  float,
  int64,
  list,
  mapOf,
  nullable,
  type Of,
  raw,
  struct,
  text,
  uint16,
  uint32,
  uint53,
  uint8,
} from "./schema.ts";
import { Writer } from "./writer.ts";

export const serfTypes = {
  leave: 0,
  join: 1,
  pushPull: 2,
  userEvent: 3,
  query: 4,
  queryResponse: 5,
  conflictResponse: 6,
  keyRequest: 7,
  keyResponse: 8,
  relay: 9,
} as const;

export const queryFlags = { ack: 1, noBroadcast: 2 } as const;
export const filterTypes = { node: 0, tag: 1 } as const;

export const leave = struct({ LTime: uint53, Node: text, Prune: boolean });
export const join = struct({ LTime: uint53, Node: text });
export const userEvent = struct({ CC: boolean, LTime: uint53, Name: text, Payload: raw });
export const pushPullState = struct({
  EventLTime: uint53,
  Events: list(nullable(struct({
    Events: list(struct({ Name: text, Payload: raw })),
    LTime: uint53,
  }))),
  LTime: uint53,
  LeftMembers: list(text),
  QueryLTime: uint53,
  StatusLTimes: mapOf(uint53),
});
export const query = struct({
  Addr: raw,
  Filters: list(raw),
  Flags: uint32,
  ID: uint32,
  LTime: uint53,
  Name: text,
  Payload: raw,
  Port: uint16,
  RelayFactor: uint8,
  SourceNode: text,
  Timeout: int64,
});
export const queryResponse = struct({
  Flags: uint32,
  From: text,
  ID: uint32,
  LTime: uint53,
  Payload: raw,
});
export const conflictResponse = struct({
  Addr: raw,
  DelegateCur: uint8,
  DelegateMax: uint8,
  DelegateMin: uint8,
  Name: text,
  Port: uint16,
  ProtocolCur: uint8,
  ProtocolMax: uint8,
  ProtocolMin: uint8,
  Status: int64,
  Tags: mapOf(text),
});
export const keyRequest = struct({ Key: raw });
export const keyResponse = struct({
  Keys: list(text),
  Message: text,
  PrimaryKey: text,
  Result: boolean,
});
export const relayHeader = struct({
  DestAddr: struct({ IP: raw, Port: uint16, Zone: text }),
  DestName: text,
});
export const tagFilter = struct({ Expr: text, Tag: text });
export const nodeFilter = list(text);
export const coordinate = struct({
  Adjustment: float,
  Error: float,
  Height: float,
  Vec: list(float),
});

export type LeaveIntent = Of<typeof leave>;
export type JoinIntent = Of<typeof join>;
export type UserEvent = Of<typeof userEvent>;
export type PushPullState = Of<typeof pushPullState>;
export type Query = Of<typeof query>;
export type QueryResponse = Of<typeof queryResponse>;
export type KeyResponse = Of<typeof keyResponse>;
export type ConflictResponse = Of<typeof conflictResponse>;

export interface Relay {
  address: Uint8Array | null;
  port: number;
  zone: string;
  name: string;
  /** The complete inner Serf message. */
  inner: Uint8Array;
}

export type SerfMessage =
  | { kind: "leave"; body: LeaveIntent }
  | { kind: "join"; body: JoinIntent }
  | { kind: "pushPull"; body: PushPullState }
  | { kind: "userEvent"; body: UserEvent }
  | { kind: "query"; body: Query }
  | { kind: "queryResponse"; body: QueryResponse }
  | { kind: "conflictResponse"; body: ConflictResponse }
  | { kind: "keyRequest"; body: Of<typeof keyRequest> }
  | { kind: "keyResponse"; body: KeyResponse }
  | { kind: "relay"; body: Relay };

export function decodeSerf(bytes: Uint8Array): SerfMessage {
  const reader = new Reader(bytes);
  const type = reader.byte();
  switch (type) {
    case serfTypes.leave:
      return { kind: "leave", body: leave.read(reader) };
    case serfTypes.join:
      return { kind: "join", body: join.read(reader) };
    case serfTypes.pushPull:
      return { kind: "pushPull", body: pushPullState.read(reader) };
    case serfTypes.userEvent:
      return { kind: "userEvent", body: userEvent.read(reader) };
    case serfTypes.query:
      return { kind: "query", body: query.read(reader) };
    case serfTypes.queryResponse:
      return { kind: "queryResponse", body: queryResponse.read(reader) };
    case serfTypes.conflictResponse:
      return { kind: "conflictResponse", body: conflictResponse.read(reader) };
    case serfTypes.keyRequest:
      return { kind: "keyRequest", body: keyRequest.read(reader) };
    case serfTypes.keyResponse:
      return { kind: "keyResponse", body: keyResponse.read(reader) };
    case serfTypes.relay:
      return { kind: "relay", body: readRelay(reader) };
    default:
      throw new WireError(`unknown Serf message type ${type}`);
  }
}

export function encodeSerf(message: SerfMessage): Uint8Array {
  switch (message.kind) {
    case "leave":
      return leave.encode(message.body, serfTypes.leave);
    case "join":
      return join.encode(message.body, serfTypes.join);
    case "pushPull":
      return pushPullState.encode(message.body, serfTypes.pushPull);
    case "userEvent":
      return userEvent.encode(message.body, serfTypes.userEvent);
    case "query":
      return query.encode(message.body, serfTypes.query);
    case "queryResponse":
      return queryResponse.encode(message.body, serfTypes.queryResponse);
    case "conflictResponse":
      return conflictResponse.encode(message.body, serfTypes.conflictResponse);
    case "keyRequest":
      return keyRequest.encode(message.body, serfTypes.keyRequest);
    case "keyResponse":
      return keyResponse.encode(message.body, serfTypes.keyResponse);
    case "relay":
      return encodeRelay(message.body);
    default:
      return message satisfies never;
  }
}

function readRelay(reader: Reader): Relay {
  const header = relayHeader.read(reader);
  return {
    address: header.DestAddr.IP,
    port: header.DestAddr.Port,
    zone: header.DestAddr.Zone,
    name: header.DestName,
    inner: reader.take(reader.bytes.length - reader.offset),
  };
}

function encodeRelay(relay: Relay): Uint8Array {
  const writer = new Writer();
  writer.byte(serfTypes.relay);
  relayHeader.write(writer, {
    DestAddr: { IP: relay.address, Port: relay.port, Zone: relay.zone },
    DestName: relay.name,
  });
  writer.append(relay.inner);
  return writer.finish();
}

export type Filter =
  | { kind: "node"; names: string[] }
  | { kind: "tag"; tag: string; expression: string };

export function decodeFilter(bytes: Uint8Array): Filter {
  const reader = new Reader(bytes);
  const type = reader.byte();
  if (type === filterTypes.node) return { kind: "node", names: nodeFilter.read(reader) ?? [] };
  if (type !== filterTypes.tag) throw new WireError(`unknown query filter type ${type}`);
  const { Tag, Expr } = tagFilter.read(reader);
  return { kind: "tag", tag: Tag, expression: Expr };
}

export function encodeFilter(filter: Filter): Uint8Array {
  if (filter.kind === "tag") {
    return tagFilter.encode({ Tag: filter.tag, Expr: filter.expression }, filterTypes.tag);
  }
  const writer = new Writer();
  writer.byte(filterTypes.node);
  nodeFilter.write(writer, filter.names);
  return writer.finish();
}
