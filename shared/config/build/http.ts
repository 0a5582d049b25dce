// The HTTP API, its limits and caches, and the web UI.

import type { HostFacts } from "../host-facts.ts";
import { parseCidr } from "../ip-address.ts";
import type { SettingsReader } from "../reader.ts";
import { ConfigRefusal } from "../source.ts";
import type { EffectiveConfig, HttpConfig, LimitsConfig, UiConfig } from "../types.ts";

/** Go's default for the size of a request's header. */
const defaultHeaderBytes = 1 << 20;
/** Descriptors that an agent needs beside its HTTP connections. */
const ownDescriptors = 20;

export function buildHttp(read: SettingsReader, host: HostFacts): HttpConfig {
  const maxConns = read.int("limits.http_max_conns_per_client");
  if (maxConns + ownDescriptors > host.fileDescriptorsMax) {
    throw new ConfigRefusal(
      `system allows a max of ${host.fileDescriptorsMax} file descriptors, but ` +
        `limits.http_max_conns_per_client: ${maxConns} needs at least ` +
        `${maxConns + ownDescriptors}`,
    );
  }
  return {
    blockEndpoints: read.strings("http_config.block_endpoints"),
    allowWriteHttpFrom: read.cidrs(
      "http_config.allow_write_http_from",
      "allow_write_http_from",
      (text) => parseCidr(text) !== undefined,
    ),
    responseHeaders: read.map("http_config.response_headers"),
    useCache: read.bool("http_config.use_cache"),
    maxHeaderBytes: read.int("http_config.max_header_bytes") || defaultHeaderBytes,
    disableUnprintableCharFilter: read.bool("disable_http_unprintable_char_filter"),
    defaultQueryTimeMs: read.ms("default_query_time"),
    maxQueryTimeMs: read.ms("max_query_time"),
    discoveryMaxStaleMs: read.ms("discovery_max_stale"),
    useStreamingBackend: read.bool("use_streaming_backend"),
    maxConnsPerClient: maxConns,
    httpsHandshakeTimeoutMs: read.ms("limits.https_handshake_timeout"),
  };
}

export function buildLimits(read: SettingsReader): LimitsConfig {
  const mode = read.string("limits.request_limits.mode");
  if (mode !== "disabled" && mode !== "permissive" && mode !== "enforcing") {
    read.errors.push(`limits.request_limits.mode: invalid mode: ${JSON.stringify(mode)}`);
  }
  return {
    rpcHandshakeTimeoutMs: read.ms("limits.rpc_handshake_timeout"),
    rpcClientTimeoutMs: read.ms("limits.rpc_client_timeout"),
    rpcMaxConnsPerClient: read.int("limits.rpc_max_conns_per_client"),
    rpcRate: read.int("limits.rpc_rate"),
    rpcMaxBurst: read.int("limits.rpc_max_burst"),
    requestLimits: {
      mode: mode as LimitsConfig["requestLimits"]["mode"],
      readRate: read.int("limits.request_limits.read_rate"),
      writeRate: read.int("limits.request_limits.write_rate"),
    },
    kvMaxValueSize: read.int("limits.kv_max_value_size"),
    txnMaxReqLen: read.int("limits.txn_max_req_len"),
  };
}

export function buildCache(read: SettingsReader): EffectiveConfig["cache"] {
  const entryFetchRate = read.optional<number>("cache.entry_fetch_rate");
  if (entryFetchRate !== undefined && entryFetchRate <= 0) {
    throw new ConfigRefusal(
      `cache.entry_fetch_rate must be strictly positive, was: ${entryFetchRate}`,
    );
  }
  const entryFetchMaxBurst = read.int("cache.entry_fetch_max_burst");
  if (entryFetchMaxBurst <= 0) {
    throw new ConfigRefusal(
      `cache.entry_fetch_max_burst must be strictly positive, was: ${entryFetchMaxBurst}`,
    );
  }
  return { entryFetchRate: entryFetchRate ?? -1, entryFetchMaxBurst };
}

export function buildUi(read: SettingsReader): UiConfig {
  const metricsProvider = read.string("ui_config.metrics_provider");
  const pathAllowlist = read.strings("ui_config.metrics_proxy.path_allowlist");
  const isPrometheus = metricsProvider === "prometheus" && pathAllowlist.length === 0;
  const ui: UiConfig = {
    enabled: read.bool("ui_config.enabled"),
    dir: read.string("ui_config.dir"),
    contentPath: read.string("ui_config.content_path"),
    metricsProvider,
    metricsProviderFiles: read.strings("ui_config.metrics_provider_files"),
    metricsProviderOptionsJson: read.string("ui_config.metrics_provider_options_json"),
    metricsProxy: {
      baseUrl: read.string("ui_config.metrics_proxy.base_url"),
      addHeaders: (read.optional<Map<string, string>[]>("ui_config.metrics_proxy.add_headers") ??
        []).map((header) => ({
          name: header.get("name") ?? "",
          value: header.get("value") ?? "",
        })),
      pathAllowlist: isPrometheus ? ["/api/v1/query", "/api/v1/query_range"] : pathAllowlist,
    },
    dashboardUrlTemplates: read.map("ui_config.dashboard_url_templates"),
  };
  refuseUi(ui);
  return { ...ui, contentPath: `/${ui.contentPath.replace(/^\/+|\/+$/g, "")}/`.replace("//", "/") };
}

function refuseUi(ui: UiConfig): void {
  const path = ui.contentPath;
  const received = `received: ${JSON.stringify(path)}`;
  if (path !== "" && !/^[A-Za-z0-9/_-]+$/.test(path)) {
    throw new ConfigRefusal(
      `ui-content-path can only contain alphanumeric, -, _, or /. ${received}`,
    );
  }
  if (/v[0-9]/.test(path)) {
    throw new ConfigRefusal(`ui-content-path cannot have 'v[0-9]'. ${received}`);
  }
  if (ui.enabled && ui.dir !== "") {
    throw new ConfigRefusal(
      "Both the ui_config.enabled and ui_config.dir (or -ui and -ui-dir) were specified, please " +
        "provide only one.\nIf trying to use your own web UI resources, use ui_config.dir or " +
        "the -ui-dir flag.\nThe web UI is included in the binary so use ui_config.enabled or " +
        "the -ui flag to enable it",
    );
  }
  if (!/^[a-z0-9_-]*$/.test(ui.metricsProvider)) {
    throw new ConfigRefusal(
      "ui_config.metrics_provider can only contain lowercase alphanumeric, - or _ characters. " +
        `received: ${JSON.stringify(ui.metricsProvider)}`,
    );
  }
  if (!isJsonObjectOrEmpty(ui.metricsProviderOptionsJson)) {
    throw new ConfigRefusal(
      "ui_config.metrics_provider_options_json must be empty or a string containing a valid " +
        "JSON object.",
    );
  }
  if (ui.metricsProxy.baseUrl !== "" && !isHttpUrl(ui.metricsProxy.baseUrl)) {
    throw new ConfigRefusal("ui_config.metrics_proxy.base_url must be a valid http or https URL.");
  }
  for (const [name, url] of Object.entries(ui.dashboardUrlTemplates)) {
    if (!/^[a-z0-9_-]+$/.test(name)) {
      throw new ConfigRefusal(
        "ui_config.dashboard_url_templates key names can only contain lowercase alphanumeric, " +
          `- or _ characters. received: ${JSON.stringify(name)}`,
      );
    }
    if (!isHttpUrl(url)) {
      throw new ConfigRefusal(
        "ui_config.dashboard_url_templates values must be a valid http or https URL.",
      );
    }
  }
}

function isHttpUrl(text: string): boolean {
  return /^https?:\/\/[^/]/.test(text);
}

function isJsonObjectOrEmpty(text: string): boolean {
  if (text === "") return true;
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === "object" && value !== null && !Array.isArray(value);
  } catch {
    return false;
  }
}
