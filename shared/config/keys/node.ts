// Keys of the node itself: identity, role, storage, leaving, logs, telemetry.

import { everyDaemon, key, nobody, under } from "../key.ts";
import type { Key } from "../key.ts";

export const nodeKeys: readonly Key[] = [
  key("node_name", "string", null, everyDaemon, {
    flag: "node",
    help: "Name of this node. Must be unique in the cluster.",
  }),
  key("node_id", "string", "", everyDaemon, {
    flag: "node-id",
    help: "A unique ID for this node across space and time. Defaults to a generated ID that " +
      "persists in the data-dir.",
  }),
  key("node_meta", "map", {}, ["checkd"], {
    reload: true,
    flag: "node-meta",
    help: "An arbitrary metadata key/value pair for this node, of the format `key:value`. " +
      "Can be specified multiple times.",
  }),
  key("disable_host_node_id", "bool", true, ["agent"], {
    flag: "disable-host-node-id",
    help: "Prevents the node ID from being made of the host's own ID.",
  }),
  key("datacenter", "string", "dc1", everyDaemon, {
    flag: "datacenter",
    help: "Datacenter of the agent.",
  }),
  key("primary_datacenter", "string", "", ["raftd", "cad"]),
  key("data_dir", "string", "", everyDaemon, {
    flag: "data-dir",
    help: "Path to a data directory to store agent state.",
  }),
  key("server", "bool", false, everyDaemon, {
    flag: "server",
    help: "Switches agent to server mode.",
  }),
  key("bootstrap", "bool", false, ["raftd"], {
    flag: "bootstrap",
    help: "Sets server to bootstrap mode.",
  }),
  key("bootstrap_expect", "int", 0, ["raftd", "gossipd"], {
    flag: "bootstrap-expect",
    help: "Sets server to expect bootstrap mode.",
  }),
  key("server_name", "string", "", nobody),
  key("server_rejoin_age_max", "duration", "168h", nobody),
  key("pid_file", "string", "", ["agent"], {
    flag: "pid-file",
    help: "Path to file to store agent PID.",
  }),
  key("protocol", "int", 2, ["gossipd"], {
    flag: "protocol",
    help: "Sets the protocol version. Defaults to latest.",
  }),
  key("leave_on_terminate", "bool", null, ["agent"]),
  key("skip_leave_on_interrupt", "bool", null, ["agent"]),
  key("auto_reload_config", "bool", false, nobody, {
    flag: "auto-reload-config",
    help: "Watches config files for changes and auto reloads the files when modified.",
  }),
  key("enable_debug", "bool", false, ["apid"], { reload: true }),
  key("experiments", "strings", [], nobody),
  key("locality.region", "string", "", nobody),
  key("locality.zone", "string", "", nobody),
  key("disable_update_check", "bool", false, ["agent"]),
  key("disable_anonymous_signature", "bool", false, ["agent"]),
  key("log_level", "string", "INFO", everyDaemon, {
    reload: true,
    flag: "log-level",
    help: "Log level of the agent.",
  }),
  key("log_json", "bool", false, ["agent"], {
    flag: "log-json",
    help: "Output logs in JSON format.",
  }),
  key("log_file", "string", "", ["agent"], {
    flag: "log-file",
    help: "Path to the file the logs get written to.",
  }),
  key("log_rotate_bytes", "int", 0, ["agent"], {
    flag: "log-rotate-bytes",
    help: "Maximum number of bytes that should be written to a log file.",
  }),
  key("log_rotate_duration", "duration", "24h", ["agent"], {
    flag: "log-rotate-duration",
    help: "Time after which log rotation needs to be performed.",
  }),
  key("log_rotate_max_files", "int", 0, ["agent"], {
    flag: "log-rotate-max-files",
    help: "Maximum number of log file archives to keep.",
  }),
  key("enable_syslog", "bool", false, nobody, {
    flag: "syslog",
    help: "Enables logging to syslog.",
  }),
  key("syslog_facility", "string", "LOCAL0", nobody),
  ...under("telemetry", [
    key("metrics_prefix", "string", "consul", ["apid"]),
    key("disable_hostname", "bool", false, ["apid"]),
    key("filter_default", "bool", true, ["apid"], { reload: true }),
    key("prefix_filter", "strings", [], ["apid"], { reload: true }),
    key("prometheus_retention_time", "duration", "0s", ["apid"]),
    key("statsd_address", "string", "", nobody),
    key("statsite_address", "string", "", nobody),
    key("dogstatsd_addr", "string", "", nobody),
    key("dogstatsd_tags", "strings", [], nobody),
    key("retry_failed_connection", "bool", true, nobody),
    key("enable_host_metrics", "bool", false, nobody),
    key("disable_per_tenancy_usage_metrics", "bool", false, nobody),
    key("disable_compat_1.9", "bool", false, nobody),
    ...[
      "api_app",
      "api_token",
      "api_url",
      "broker_id",
      "broker_select_tag",
      "check_display_name",
      "check_force_metric_activation",
      "check_id",
      "check_instance_id",
      "check_search_tag",
      "check_tags",
      "submission_interval",
      "submission_url",
    ].map((name) => key(`circonus_${name}`, "string", "", nobody)),
  ]),
];
