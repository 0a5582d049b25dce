// What the .proto files say, flattened to what the emitters need. Parsed by protobufjs; the parts of
// proto3 that Curia's files do not use are refused rather than half supported.

import protobuf from "protobufjs";

export type Scalar = "double" | "uint32" | "int32" | "uint64" | "bool" | "string" | "bytes";
const scalars = new Set(["double", "uint32", "int32", "uint64", "bool", "string", "bytes"]);

export type FieldType =
  | { kind: "scalar"; scalar: Scalar }
  | { kind: "enum"; name: string }
  | { kind: "message"; name: string };

export interface Field {
  name: string;
  number: number;
  type: FieldType;
  /** A map has string keys and `type` values. */
  shape: "single" | "repeated" | "map";
  oneof: string;
  comment: string;
}

export interface Message {
  name: string;
  comment: string;
  fields: Field[];
  /** Name of the oneof → names of its fields. */
  oneofs: Map<string, string[]>;
}

export interface Enumeration {
  name: string;
  values: [string, number][];
}

export interface Method {
  name: string;
  comment: string;
  kind: "unary" | "server-stream" | "client-stream";
  request: string;
  response: string;
  callers: string[];
  resend: string;
}

export interface Service {
  name: string;
  daemon: string;
  methods: Method[];
}

export interface Schema {
  enums: Enumeration[];
  messages: Message[];
  services: Service[];
}

const callerClasses = ["local", "server", "client", "remote"];
const resendPolicies = ["safe", "sequenced", "never"];

export function readSchema(sources: { name: string; text: string }[]): Schema {
  const root = new protobuf.Root();
  const daemonOf = new Map<string, string>();
  for (const { name, text } of sources) {
    // Imports are all in the same folder, so one root resolves every name; options.proto itself
    // would pull in descriptor.proto.
    const before = new Set(nested(root).map((object) => object.name));
    protobuf.parse(text, root, { alternateCommentMode: true, keepCase: false });
    for (const object of nested(root)) {
      if (!before.has(object.name)) daemonOf.set(object.name, name.replace(/\.proto$/, ""));
    }
  }
  root.resolveAll();
  const schema: Schema = { enums: [], messages: [], services: [] };
  for (const object of nested(root)) {
    if (object instanceof protobuf.Enum) {
      schema.enums.push({ name: object.name, values: Object.entries(object.values) });
    } else if (object instanceof protobuf.Type) {
      schema.messages.push(readMessage(object));
    } else if (object instanceof protobuf.Service) {
      schema.services.push(readService(object, daemonOf.get(object.name)!));
    } else throw new Error(`${object.fullName}: only messages, enums and services are supported`);
  }
  schema.services.sort((a, b) => a.name < b.name ? -1 : 1);
  return schema;
}

function nested(root: protobuf.Root): protobuf.ReflectionObject[] {
  const space = root.lookup("curia");
  return space instanceof protobuf.Namespace ? space.nestedArray : [];
}

function readMessage(type: protobuf.Type): Message {
  if (type.nestedArray.length > 0) throw new Error(`${type.name}: nested types are not supported`);
  const fields = type.fieldsArray.map((field): Field => ({
    name: field.name,
    number: field.id,
    type: readType(type, field),
    shape: readShape(type, field),
    oneof: field.partOf?.name ?? "",
    comment: field.comment ?? "",
  })).sort((a, b) => a.number - b.number);
  const oneofs = new Map(type.oneofsArray.map((oneof) => [oneof.name, [...oneof.oneof]]));
  return { name: type.name, comment: type.comment ?? "", fields, oneofs };
}

function readShape(type: protobuf.Type, field: protobuf.Field): Field["shape"] {
  if (!(field instanceof protobuf.MapField)) return field.repeated ? "repeated" : "single";
  if (field.keyType !== "string") {
    throw new Error(`${type.name}.${field.name}: map keys other than string are not supported`);
  }
  return "map";
}

function readType(type: protobuf.Type, field: protobuf.Field): FieldType {
  if (field.resolvedType instanceof protobuf.Enum) {
    return { kind: "enum", name: field.resolvedType.name };
  }
  if (field.resolvedType) return { kind: "message", name: field.resolvedType.name };
  if (!scalars.has(field.type)) {
    throw new Error(`${type.name}.${field.name}: type ${field.type} is not supported`);
  }
  return { kind: "scalar", scalar: field.type as Scalar };
}

function readService(service: protobuf.Service, daemon: string): Service {
  const methods = service.methodsArray.map((method): Method => {
    const where = `${service.name}.${method.name}`;
    if (method.requestStream && method.responseStream) {
      throw new Error(`${where}: streams in both directions are not supported`);
    }
    const callers = String(method.options?.["(callers)"] ?? "local").split(",");
    const resend = String(method.options?.["(resend)"] ?? "never");
    const wrong = callers.find((caller) => !callerClasses.includes(caller)) ??
      (resendPolicies.includes(resend) ? undefined : resend);
    if (wrong !== undefined) throw new Error(`${where}: unknown option value "${wrong}"`);
    return {
      name: method.name,
      comment: method.comment ?? "",
      kind: method.requestStream
        ? "client-stream"
        : method.responseStream
        ? "server-stream"
        : "unary",
      request: method.requestType,
      response: method.responseType,
      callers,
      resend,
    };
  });
  return { name: service.name, daemon, methods };
}
