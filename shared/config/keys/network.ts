// Keys of addresses, ports and joining.

import { everyDaemon, key, nobody, under } from "../key.ts";
import type { Key, KeyUser } from "../key.ts";

const gossip: readonly KeyUser[] = ["gossipd"];

export const networkKeys: readonly Key[] = [
  key("bind_addr", "string", "0.0.0.0", everyDaemon, {
    flag: "bind",
    help: "Sets the bind address for cluster communication.",
  }),
  key("client_addr", "string", "127.0.0.1", ["apid", "dnsd", "xdsd"], {
    flag: "client",
    help: "Sets the address to bind for client access. This includes DNS, HTTP, HTTPS and gRPC.",
  }),
  key("advertise_addr", "string", "", everyDaemon, {
    flag: "advertise",
    help: "Sets the advertise address to use.",
  }),
  key("advertise_addr_wan", "string", "", ["gossipd", "checkd"], {
    flag: "advertise-wan",
    help: "Sets address to advertise on WAN instead of -advertise address.",
  }),
  key("advertise_addr_ipv4", "string", "", ["checkd"]),
  key("advertise_addr_ipv6", "string", "", ["checkd"]),
  key("advertise_addr_wan_ipv4", "string", "", ["checkd"]),
  key("advertise_addr_wan_ipv6", "string", "", ["checkd"]),
  key("tagged_addresses", "map", {}, ["checkd"]),
  key("translate_wan_addrs", "bool", false, ["apid", "dnsd"]),
  key("serf_lan", "string", "", gossip, {
    flag: "serf-lan-bind",
    help: "Address to bind Serf LAN listeners to.",
  }),
  key("serf_wan", "string", "", gossip, {
    flag: "serf-wan-bind",
    help: "Address to bind Serf WAN listeners to.",
  }),
  key("serf_lan_allowed_cidrs", "strings", [], gossip, {
    flag: "serf-lan-allowed-cidrs",
    help: "Networks (eg: 192.168.1.0/24) allowed for Serf LAN. Can be specified multiple times.",
  }),
  key("serf_wan_allowed_cidrs", "strings", [], gossip, {
    flag: "serf-wan-allowed-cidrs",
    help: "Networks (eg: 192.168.1.0/24) allowed for Serf WAN. Can be specified multiple times.",
  }),
  ...under("addresses", [
    key("dns", "string", "", ["dnsd"]),
    key("http", "string", "", ["apid"]),
    key("https", "string", "", ["apid"]),
    key("grpc", "string", "", ["xdsd"]),
    key("grpc_tls", "string", "", ["xdsd"]),
  ]),
  ...under("ports", [
    key("dns", "int", 8600, ["dnsd"], { flag: "dns-port", help: "DNS port to use." }),
    key("http", "int", 8500, ["apid"], {
      flag: "http-port",
      help: "Sets the HTTP API port to listen on.",
    }),
    key("https", "int", -1, nobody, {
      flag: "https-port",
      help: "Sets the HTTPS API port to listen on.",
    }),
    key("grpc", "int", -1, nobody, {
      flag: "grpc-port",
      help: "Sets the gRPC API port to listen on.",
    }),
    key("grpc_tls", "int", null, nobody, {
      flag: "grpc-tls-port",
      help: "Sets the gRPC-TLS API port to listen on.",
    }),
    key("serf_lan", "int", 8301, gossip, {
      flag: "serf-lan-port",
      help: "Sets the Serf LAN port to listen on.",
    }),
    key("serf_wan", "int", 8302, gossip, {
      flag: "serf-wan-port",
      help: "Sets the Serf WAN port to listen on.",
    }),
    key("server", "int", 8300, ["raftd", "relayd", "gossipd"], {
      flag: "server-port",
      help: "Sets the server port to listen on.",
    }),
    key("sidecar_min_port", "int", 21000, ["checkd"]),
    key("sidecar_max_port", "int", 21255, ["checkd"]),
    key("expose_min_port", "int", 21500, ["checkd"]),
    key("expose_max_port", "int", 21755, ["checkd"]),
    key("proxy_min_port", "int", 20000, ["checkd"]),
    key("proxy_max_port", "int", 20255, ["checkd"]),
  ]),
  key("retry_join", "strings", [], gossip, {
    flag: "retry-join",
    help: "Address of an agent to join at start time with retries enabled. Can be specified " +
      "multiple times.",
  }),
  key("retry_interval", "duration", "30s", gossip, {
    flag: "retry-interval",
    help: "Time to wait between join attempts.",
  }),
  key("retry_max", "int", 0, gossip, {
    flag: "retry-max",
    help: "Maximum number of join attempts. Defaults to 0, which will retry indefinitely.",
  }),
  key("retry_join_wan", "strings", [], gossip, {
    flag: "retry-join-wan",
    help: "Address of an agent to join -wan at start time with retries enabled. Can be " +
      "specified multiple times.",
  }),
  key("retry_interval_wan", "duration", "30s", gossip, {
    flag: "retry-interval-wan",
    help: "Time to wait between join -wan attempts.",
  }),
  key("retry_max_wan", "int", 0, gossip, {
    flag: "retry-max-wan",
    help: "Maximum number of join -wan attempts. Defaults to 0, which will retry indefinitely.",
  }),
  key("primary_gateways", "strings", [], nobody, {
    flag: "primary-gateway",
    help: "Address of a mesh gateway in the primary datacenter to use to bootstrap WAN " +
      "federation at start time with retries enabled. Can be specified multiple times.",
  }),
  key("primary_gateways_interval", "duration", "30s", nobody),
  key("reconnect_timeout", "duration", "72h", gossip),
  key("reconnect_timeout_wan", "duration", "72h", gossip),
  key("advertise_reconnect_timeout", "duration", "0s", gossip),
  key("unix_sockets.user", "string", "", ["apid"]),
  key("unix_sockets.group", "string", "", ["apid"]),
  key("unix_sockets.mode", "string", "", ["apid"]),
];
