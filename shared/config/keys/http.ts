// Keys of the HTTP API, its limits, caches and the web UI.

import { key, nobody, under } from "../key.ts";
import type { Key } from "../key.ts";

export const httpKeys: readonly Key[] = [
  key("http_config.block_endpoints", "strings", [], ["apid"]),
  key("http_config.allow_write_http_from", "strings", [], ["apid"], {
    flag: "allow-write-http-from",
    help: "Only allow write endpoint calls from given network. CIDR format, can be specified " +
      "multiple times.",
  }),
  key("http_config.response_headers", "map", {}, ["apid"]),
  key("http_config.use_cache", "bool", true, ["apid"]),
  key("http_config.max_header_bytes", "int", 0, ["apid"]),
  key("disable_http_unprintable_char_filter", "bool", false, ["apid"]),
  key("default_query_time", "duration", "300s", ["apid"], {
    flag: "default-query-time",
    help: "the amount of time a blocking query will wait before Consul will force a response.",
  }),
  key("max_query_time", "duration", "600s", ["apid"], {
    flag: "max-query-time",
    help: "the maximum amount of time a blocking query can wait before Consul will force a " +
      "response.",
  }),
  key("discovery_max_stale", "duration", "0s", ["apid"]),
  ...under("limits", [
    key("http_max_conns_per_client", "int", 200, ["apid"], { reload: true }),
    key("https_handshake_timeout", "duration", "5s", nobody),
    key("rpc_handshake_timeout", "duration", "5s", nobody),
    key("rpc_client_timeout", "duration", "60s", ["relayd"], { reload: true }),
    key("rpc_max_conns_per_client", "int", 100, nobody, { reload: true }),
    key("rpc_rate", "float", -1, nobody, { reload: true }),
    key("rpc_max_burst", "int", 1000, nobody, { reload: true }),
    key("request_limits.mode", "string", "disabled", nobody, { reload: true }),
    key("request_limits.read_rate", "float", -1, nobody, { reload: true }),
    key("request_limits.write_rate", "float", -1, nobody, { reload: true }),
    key("kv_max_value_size", "int", 524288, ["apid"]),
    key("txn_max_req_len", "int", 524288, ["apid"]),
  ]),
  key("cache.entry_fetch_rate", "float", null, nobody, { reload: true }),
  key("cache.entry_fetch_max_burst", "int", 2, nobody, { reload: true }),
  key("use_streaming_backend", "bool", true, ["apid"]),
  key("rpc.enable_streaming", "bool", null, ["raftd"]),
  key("ui_config.enabled", "bool", false, ["apid"], {
    flag: "ui",
    help: "Enables the built-in static web UI server.",
  }),
  key("ui_config.dir", "string", "", ["apid"], {
    flag: "ui-dir",
    help: "Path to directory containing the web UI resources.",
  }),
  key("ui_config.content_path", "string", "/ui/", ["apid"], {
    flag: "ui-content-path",
    help: "Sets the external UI path to a string. Defaults to: /ui/ ",
  }),
  key("ui_config.metrics_provider", "string", "", nobody),
  key("ui_config.metrics_provider_files", "strings", [], nobody),
  key("ui_config.metrics_provider_options_json", "string", "", nobody),
  key("ui_config.metrics_proxy.base_url", "string", "", nobody),
  key("ui_config.metrics_proxy.add_headers", "objects", [], nobody, {
    fields: [key("name", "string", "", nobody), key("value", "string", "", nobody)],
  }),
  key("ui_config.metrics_proxy.path_allowlist", "strings", [], nobody),
  key("ui_config.dashboard_url_templates", "map", {}, nobody),
];
