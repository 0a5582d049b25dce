// Keys of services, checks, the mesh, what Consul keeps to itself, and what only Curia has.

import { key, nobody } from "../key.ts";
import type { Key } from "../key.ts";
import { checkKeys, serviceKeys } from "./definition.ts";

export const featureKeys: readonly Key[] = [
  key("service", "object", null, ["checkd"], { reload: true, fields: serviceKeys }),
  key("services", "objects", [], ["checkd"], { reload: true, fields: serviceKeys }),
  key("check", "object", null, ["checkd"], { reload: true, fields: checkKeys }),
  key("checks", "objects", [], ["checkd"], { reload: true, fields: checkKeys }),
  key("watches", "anys", [], nobody, { reload: true }),
  key("check_update_interval", "duration", "5m", ["checkd"]),
  key("check_output_max_size", "int", 4096, ["checkd"], {
    flag: "check_output_max_size",
    help: "Sets the maximum output size for checks on this agent",
  }),
  key("discard_check_output", "bool", false, ["checkd"], { reload: true }),
  key("enable_script_checks", "bool", false, ["checkd"], {
    flag: "enable-script-checks",
    help: "Enables health check scripts.",
  }),
  key("enable_local_script_checks", "bool", null, ["checkd"], {
    flag: "enable-local-script-checks",
    help: "Enables health check scripts from configuration file.",
  }),
  key("enable_central_service_config", "bool", true, nobody),
  key("disable_remote_exec", "bool", true, nobody),
  key("disable_coordinates", "bool", false, ["gossipd"]),
  key("session_ttl_min", "duration", "0s", ["raftd"]),
  key("config_entries.bootstrap", "anys", [], nobody, { reload: true }),
  key("connect.enabled", "bool", true, ["cad", "raftd"]),
  key("connect.ca_provider", "string", "", ["cad"]),
  key("connect.ca_config", "any", {}, ["cad"]),
  key("connect.enable_mesh_gateway_wan_federation", "bool", false, nobody),
  key("peering.enabled", "bool", true, nobody),
  key("xds.update_max_per_second", "float", 250, nobody, { reload: true }),
  key("snapshot_agent", "any", {}, ["agent"]),
];

/** Read, then set back to the given value: Consul's own tests use them. */
export const internalKeys: readonly Key[] = [
  key("ae_interval", "duration", "1m", ["checkd"]),
  key("check_deregister_interval_min", "duration", "1m", ["checkd"]),
  key("check_reap_interval", "duration", "30s", ["checkd"]),
  key("sync_coordinate_rate_target", "float", 64, ["gossipd"]),
  key("sync_coordinate_interval_min", "duration", "15s", ["gossipd"]),
  key("segment_name_limit", "int", 64, ["agent"]),
  key("consul", "any", {}, ["agent"]),
  key("connect.test_ca_leaf_root_change_spread", "duration", "0s", ["agent"]),
  key("peering.test_allow_peer_registrations", "bool", false, ["agent"]),
  key("revision", "string", "", ["agent"]),
  key("version", "string", "", ["agent"]),
  key("version_prerelease", "string", "", ["agent"]),
  key("version_metadata", "string", "", ["agent"]),
  key("build_date", "string", "", ["agent"]),
];

/** What Consul does not have. */
export const curiaKeys: readonly Key[] = [
  key("run_dir", "string", "", ["agent"], {
    flag: "run-dir",
    help: "Directory of the daemons' sockets. Defaults to the directory 'run' in the data-dir.",
  }),
  key("instances", "ints", {}, ["agent"]),
  key("metrics_ports", "ints", {}, ["agent"]),
  key("checkd_absence_timeout", "duration", "30s", ["gossipd"]),
  key("migration.observe", "bool", false, ["gossipd", "raftd"]),
  key("view_max_age", "duration", "5m", ["dnsd"]),
  key("snapshot_schedule.interval", "duration", "0s", ["raftd"]),
  key("snapshot_schedule.retain", "int", 30, ["raftd"]),
  key("snapshot_schedule.dir", "string", "", ["raftd"]),
  key("tombstone_ttl", "duration", "15m", ["raftd"]),
  key("tombstone_ttl_granularity", "duration", "30s", ["raftd"]),
];
