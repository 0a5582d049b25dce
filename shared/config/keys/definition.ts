// Keys of one service and of one check in a configuration file.

import { key } from "../key.ts";
import type { Key, KeyType } from "../key.ts";

function rows(type: KeyType, ...names: string[]): Key[] {
  return names.map((name) => key(name, type, null, ["checkd"]));
}

/** Spellings that older files use. */
const checkAliases = {
  serviceid: "service_id",
  scriptargs: "args",
  dockercontainerid: "docker_container_id",
  tlsskipverify: "tls_skip_verify",
  deregistercriticalserviceafter: "deregister_critical_service_after",
} as const;

/** Alias → the key meant. */
export const definitionAliases: ReadonlyMap<string, string> = new Map(Object.entries(checkAliases));

export const checkKeys: readonly Key[] = [
  ...rows("string", "id", "name", "notes", "service_id", "token", "status", "http", "method"),
  ...rows("string", "body", "tcp", "udp", "grpc", "h2ping", "docker_container_id", "shell"),
  ...rows("string", "alias_service", "alias_node", "os_service", "tls_server_name"),
  ...rows("strings", "args"),
  ...rows("lists", "header"),
  ...rows("bool", "disable_redirects", "tcp_use_tls", "grpc_use_tls", "h2ping_use_tls"),
  ...rows("bool", "tls_skip_verify"),
  ...rows("duration", "interval", "timeout", "ttl", "deregister_critical_service_after"),
  ...rows("int", "output_max_size", "success_before_passing", "failures_before_warning"),
  ...rows("int", "failures_before_critical"),
];

export const serviceKeys: readonly Key[] = [
  ...rows("string", "id", "name", "kind", "address", "socket_path", "token"),
  ...rows("strings", "tags"),
  ...rows("int", "port"),
  ...rows("map", "meta"),
  ...rows("bool", "enable_tag_override"),
  ...rows("any", "tagged_addresses", "proxy"),
  ...rows("int", "weights.passing", "weights.warning"),
  ...rows("string", "locality.region", "locality.zone"),
  ...rows("bool", "connect.native"),
  ...rows("any", "connect.sidecar_service"),
  key("check", "object", null, ["checkd"], { fields: checkKeys }),
  key("checks", "objects", null, ["checkd"], { fields: checkKeys }),
];
