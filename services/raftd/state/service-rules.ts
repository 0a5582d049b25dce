// What a catalog registration must look like before the state looks at its rows, with the texts
// that Consul answers (/v1/catalog/register).

import type { Check, RegisterCommand, Service } from "#proto/messages.js";
import { destinationName, isNative, parseObject } from "./tables/services.ts";

const metaPairsMax = 64;
const metaKeyLengthMax = 128;
const metaValueLengthMax = 512;
const reservedMetaPrefix = "consul-";

/** The first fault of the request by itself, or undefined. */
export function validateRegistration(command: RegisterCommand): string | undefined {
  const { node, service } = command;
  if (node === null || node.node === "") return "Must provide node";
  if (node.address === "" && !command.skipNodeUpdate) {
    return "Must provide address if SkipNodeUpdate is not set";
  }
  if (node.id !== "") {
    const fault = uuidFault(node.id);
    if (fault !== undefined) return `Bad node ID: ${fault}`;
  }
  if (service !== null) {
    const fault = validateService(service);
    if (fault !== undefined) return fault;
  }
  for (const check of command.checks) {
    if (check.node !== "" && check.node.toLowerCase() !== node.node.toLowerCase()) {
      const id = check.checkId === "" ? check.name : check.checkId;
      return `Node '${check.node}' for check '${id}' doesn't match register request node ` +
        `'${node.node}'`;
    }
    if (check.checkId === "" && check.name === "") {
      return `failed inserting check: object is missing a value for this index on node ${node.node}`;
    }
  }
  return undefined;
}

function validateService(service: Service): string | undefined {
  if (service.id !== "" && service.service === "") {
    return "Must provide service name (Service.Service) when service ID is provided";
  }
  if (["0.0.0.0", "::", "[::]"].includes(service.address)) return "Invalid service address";
  if (service.kind !== "connect-proxy") return undefined;
  return severalErrors(proxyFaults(service));
}

function proxyFaults(service: Service): string[] {
  const faults: string[] = [];
  const destination = destinationName(service).trim();
  if (destination === "") {
    faults.push("Proxy.DestinationServiceName must be non-empty for Connect proxy services");
  }
  if (destination === "*") {
    faults.push("Proxy.DestinationServiceName must not be a wildcard for Connect proxy services");
  }
  if (service.port === 0 && service.socketPath === "") {
    faults.push("Port or SocketPath must be set for a Connect proxy");
  }
  if (isNative(service)) {
    faults.push("A Proxy cannot also be Connect Native, only typical services can be");
  }
  return faults;
}

/** Several faults in the form of Consul's error lists. */
function severalErrors(faults: string[]): string | undefined {
  if (faults.length === 0) return undefined;
  const head = faults.length === 1 ? "1 error occurred:" : `${faults.length} errors occurred:`;
  return `${head}\n${faults.map((fault) => `\t* ${fault}\n`).join("")}\n`;
}

/** The first broken rule of a service's metadata. */
export function validateMeta(service: Service): string | undefined {
  const keys = Object.keys(service.meta);
  if (keys.length > metaPairsMax) {
    return `Node metadata cannot contain more than ${metaPairsMax} key/value pairs`;
  }
  for (const key of keys.sort()) {
    const value = service.meta[key]!;
    const fault = metaPairFault(key, value);
    if (fault !== undefined) return `Couldn't load metadata pair ('${key}', '${value}'): ${fault}`;
  }
  return undefined;
}

function metaPairFault(key: string, value: string): string | undefined {
  if (key === "") return "Key cannot be blank";
  if (!/^[a-zA-Z0-9_-]+$/.test(key)) return "Key contains invalid characters";
  if (key.length > metaKeyLengthMax) {
    return `Key is too long (limit: ${metaKeyLengthMax} characters)`;
  }
  if (key.startsWith(reservedMetaPrefix)) {
    return `Key prefix '${reservedMetaPrefix}' is reserved for internal use`;
  }
  if (Buffer.byteLength(value) > metaValueLengthMax) {
    return `Value is too long (limit: ${metaValueLengthMax} characters)`;
  }
  return undefined;
}

function uuidFault(id: string): string | undefined {
  if (id.length !== 36) return "uuid string is wrong length";
  if (![8, 13, 18, 23].every((at) => id[at] === "-")) return "uuid is improperly formatted";
  const bad = /[^0-9a-f-]/i.exec(id)?.[0];
  if (bad === undefined) return undefined;
  const code = bad.codePointAt(0)!.toString(16).toUpperCase().padStart(4, "0");
  return `encoding/hex: invalid byte: U+${code} '${bad}'`;
}

/** A check with what Consul fills in: ID from the name, node, type from its definition. */
export function completeCheck(check: Check, node: string): Check {
  const checkId = check.checkId === "" ? check.name : check.checkId;
  const type = check.type === "" && check.serviceId !== "" ? checkType(check) : check.type;
  return { ...check, checkId, node, type };
}

const typeFields: readonly [field: string, type: string][] = [
  ["AliasNode", "alias"],
  ["AliasService", "alias"],
  ["DockerContainerID", "docker"],
  ["ScriptArgs", "script"],
  ["HTTP", "http"],
  ["TCP", "tcp"],
  ["UDP", "udp"],
  ["GRPC", "grpc"],
  ["H2PING", "h2ping"],
  ["OSService", "os_service"],
  ["TTL", "ttl"],
];

function checkType(check: Check): string {
  const definition = parseObject(check.definitionJson);
  const found = typeFields.find(([field]) => Boolean(definition[field]));
  return found?.[1] ?? "";
}
