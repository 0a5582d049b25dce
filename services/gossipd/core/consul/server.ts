// Which members are servers, read from their tags as Consul reads them, and our own tags.
import type { Tags } from "../wire/tags.ts";

export interface ServerTags {
  id: string;
  datacenter: string;
  /** Of the server's RPC. */
  port: number;
  /** Of the WAN pool; only in the LAN pool's tags. */
  wanJoinPort: number | undefined;
  bootstrap: boolean;
  bootstrapExpect: number;
  raftVersion: number;
  build: string;
  readReplica: boolean;
  useTls: boolean;
  /** Curia's version; undefined for a Consul server. */
  curia: string | undefined;
}

/** Undefined when the member is not a server, or its tags do not make sense. */
export function serverOf(tags: Tags): ServerTags | undefined {
  if (tags.get("role") !== "consul") return undefined;
  const port = whole(tags.get("port"));
  const protocol = whole(tags.get("vsn"));
  const build = /\d+\.\d+\.\d+/.exec(tags.get("build") ?? "")?.[0];
  if (port === undefined || protocol === undefined || build === undefined) return undefined;
  const optional = ["expect", "wan_join_port", "raft_vsn", "ft_fs", "ft_si"];
  if (optional.some((name) => tags.has(name) && whole(tags.get(name)) === undefined)) {
    return undefined;
  }
  const grpcPorts = ["grpc_port", "grpc_tls_port"].filter((name) => tags.has(name));
  if (grpcPorts.length > 0 && !grpcPorts.some((name) => (whole(tags.get(name)) ?? 0) >= 1)) {
    return undefined;
  }
  return {
    id: tags.get("id") ?? "",
    datacenter: tags.get("dc") ?? "",
    port,
    wanJoinPort: whole(tags.get("wan_join_port")),
    bootstrap: tags.get("bootstrap") === "1",
    bootstrapExpect: whole(tags.get("expect")) ?? 0,
    raftVersion: whole(tags.get("raft_vsn")) ?? 0,
    build,
    readReplica: tags.get("read_replica") === "1" || tags.get("nonvoter") === "1",
    useTls: tags.get("use_tls") === "1",
    curia: tags.get("curia"),
  };
}

function whole(text: string | undefined): number | undefined {
  return text !== undefined && /^\d{1,15}$/.test(text) ? Number(text) : undefined;
}

/** Set to `absent` in a node's LAN tags while its checkd is away: services of a dead checker must not
 *  stay passing for ever, so the leader turns that node's serfHealth critical. */
export const checkerTag = "checkd";

export interface OwnTagsSource {
  isServer: boolean;
  nodeId: string;
  datacenter: string;
  /** What we report as Consul's level, and Curia's own version. */
  build: string;
  curiaVersion: string;
  serverPort: number;
  wanJoinPort: number;
  grpcPort: number;
  grpcTlsPort: number;
  bootstrap: boolean;
  bootstrapExpect: number;
  readReplica: boolean;
  useTls: boolean;
  aclsEnabled: boolean;
  /** A client's own reconnect timeout as a Go duration, or "". */
  advertiseReconnectTimeout: string;
}

export function ownTags(source: OwnTagsSource, pool: "lan" | "wan"): Map<string, string> {
  const tags = new Map([
    ["role", source.isServer ? "consul" : "node"],
    ["dc", source.datacenter],
    ["segment", ""],
    ["id", source.nodeId],
    ["vsn", "2"],
    ["vsn_min", "2"],
    ["vsn_max", "3"],
    ["build", `${source.build}:`],
    ["curia", source.curiaVersion],
  ]);
  const setIf = (condition: boolean, name: string, value: string | number) => {
    if (condition) tags.set(name, String(value));
  };
  if (!source.isServer) {
    setIf(source.advertiseReconnectTimeout !== "", "rc_tm", source.advertiseReconnectTimeout);
    return tags;
  }
  tags.set("raft_vsn", "3");
  tags.set("port", String(source.serverPort));
  tags.set("acls", source.aclsEnabled ? "1" : "0");
  tags.set("ft_fs", "1");
  tags.set("ft_si", "1");
  setIf(pool === "lan" && source.wanJoinPort > 0, "wan_join_port", source.wanJoinPort);
  setIf(source.grpcPort > 0, "grpc_port", source.grpcPort);
  setIf(source.grpcTlsPort > 0, "grpc_tls_port", source.grpcTlsPort);
  setIf(source.bootstrap, "bootstrap", 1);
  setIf(source.bootstrapExpect > 0, "expect", source.bootstrapExpect);
  setIf(source.readReplica, "read_replica", 1);
  setIf(source.readReplica, "nonvoter", 1);
  setIf(source.useTls, "use_tls", 1);
  return tags;
}
