// What `?filter` may select in each kind of row (spec: http-api 4.4).

import type { Shape } from "./evaluate.ts";

const string: Shape = { kind: "string" };
const int: Shape = { kind: "int" };
const uint: Shape = { kind: "uint" };
const bool: Shape = { kind: "bool" };
const strings: Shape = { kind: "list", of: string };
const stringMap: Shape = { kind: "map", of: string };

function struct(fields: Record<string, Shape>): Shape {
  return { kind: "struct", fields };
}

function all(shape: Shape, names: string): Record<string, Shape> {
  return Object.fromEntries(names.split(" ").map((name) => [name, shape]));
}

const address = struct({ Address: string, Port: int });
const addresses: Shape = { kind: "map", of: address };
const weights = struct({ Passing: int, Warning: int });
const connect = struct({ Native: bool });
const meshGateway = struct({ Mode: string });

const proxy = struct({
  ...all(string, "DestinationServiceName DestinationServiceID LocalServiceAddress Mode"),
  LocalServicePort: int,
  LocalServiceSocketPath: string,
  MeshGateway: meshGateway,
  Expose: struct({
    Checks: bool,
    Paths: {
      kind: "list",
      of: struct({
        ...all(int, "ListenerPort LocalPathPort"),
        ...all(string, "Path Protocol"),
        ParsedFromCheck: bool,
      }),
    },
  }),
  TransparentProxy: struct({ OutboundListenerPort: int, DialedDirectly: bool }),
  Upstreams: {
    kind: "list",
    of: struct({
      ...all(string, "DestinationType DestinationNamespace DestinationPartition"),
      ...all(string, "DestinationPeer DestinationName Datacenter LocalBindAddress"),
      ...all(string, "LocalBindSocketPath LocalBindSocketMode"),
      LocalBindPort: int,
      MeshGateway: meshGateway,
    }),
  },
});

export const nodeShape = struct({
  ...all(string, "ID Node Address Datacenter PeerName"),
  ...all(stringMap, "TaggedAddresses Meta"),
});

export const serviceRowShape = struct({
  ...all(string, "ID Node Address Datacenter ServiceKind ServiceID ServiceName ServiceAddress"),
  ...all(string, "ServiceSocketPath PeerName"),
  ...all(stringMap, "TaggedAddresses NodeMeta ServiceMeta"),
  ServiceTags: strings,
  ServiceTaggedAddresses: addresses,
  ServiceWeights: weights,
  ServicePort: int,
  ServiceEnableTagOverride: bool,
  ServiceProxy: proxy,
  ServiceConnect: connect,
});

const serviceFields: Record<string, Shape> = {
  ...all(string, "Kind ID Service Address SocketPath PeerName"),
  Tags: strings,
  TaggedAddresses: addresses,
  Meta: stringMap,
  Port: int,
  Weights: weights,
  EnableTagOverride: bool,
  Proxy: proxy,
  Connect: connect,
};
export const serviceShape = struct(serviceFields);

export const checkShape = struct({
  ...all(string, "Node CheckID Name Status Notes Output ServiceID ServiceName Type"),
  ...all(string, "Interval Timeout PeerName"),
  ServiceTags: strings,
  ExposedPort: int,
});

export const instanceShape = struct({
  Node: nodeShape,
  Service: serviceShape,
  Checks: { kind: "list", of: checkShape },
});

export const memberShape = struct({
  ...all(string, "Name Addr"),
  Port: uint,
  Tags: stringMap,
  Status: int,
  ...all(uint, "ProtocolMin ProtocolMax ProtocolCur DelegateMin DelegateMax DelegateCur"),
});
