// The effective configuration of a node: Consul's keys, grouped, typed, every default filled in.
// Made once per node (effective.ts), written to <runDir>/config.json, read by every daemon.

import type { CheckDefinition, ServiceDefinition, WatchDefinition } from "./definitions.ts";
import type { TlsConfig } from "./tls-types.ts";

/** Every duration is in milliseconds and may have a fraction; 0 means what the key says of it. */
export interface EffectiveConfig {
  /** SHA-256 (hex) of the canonical JSON of everything else here. */
  hash: string;
  node: NodeConfig;
  /** Consul's `data_dir`; empty only with -dev. */
  dataDir: string;
  /** Where the daemons' sockets and config.json lie. */
  runDir: string;
  /** -dev: nothing stays on disk after the stop. */
  dev: boolean;
  server: boolean;
  bootstrap: boolean;
  /** 0 when off; never 1 (that is `bootstrap`). */
  bootstrapExpect: number;
  addresses: AddressConfig;
  ports: PortConfig;
  unixSockets: { user: string; group: string; mode: string };
  translateWanAddrs: boolean;
  gossip: GossipConfig;
  raft: RaftConfig;
  autopilot: AutopilotConfig;
  dns: DnsConfig;
  http: HttpConfig;
  ui: UiConfig;
  limits: LimitsConfig;
  cache: { entryFetchRate: number; entryFetchMaxBurst: number };
  checks: ChecksConfig;
  services: ServiceDefinition[];
  checkDefinitions: CheckDefinition[];
  watches: WatchDefinition[];
  acl: AclConfig;
  tls: TlsConfig;
  connect: ConnectConfig;
  log: LogConfig;
  telemetry: TelemetryConfig;
  leave: LeaveConfig;
  /** Config entries (as given, PascalCase or snake_case) that the leader writes when absent. */
  configEntriesBootstrap: Record<string, unknown>[];
  sessionTtlMinMs: number;
  tombstone: { ttlMs: number; granularityMs: number };
  disableRemoteExec: boolean;
  /** Only told in tags, as in Consul's community edition. */
  readReplica: boolean;
  disableCoordinates: boolean;
  enableDebug: boolean;
  enableCentralServiceConfig: boolean;
  experiments: string[];
  pidFile: string;
  autoReloadConfig: boolean;
  serverRejoinAgeMaxMs: number;
  /** How many copies of each daemon run; 1 for those not named. */
  instances: Record<string, number>;
  /** After how long without checkd gossipd reports it missing. */
  checkdAbsenceTimeoutMs: number;
  /** Share the gossip pools with real Consul servers. */
  migration: { observe: boolean };
  /** Archives that the leader makes by itself: none with an interval of 0; "" is data_dir/snapshots. */
  snapshotSchedule: { intervalMs: number; retain: number; dir: string };
  /** Per daemon, the loopback port that serves /metrics and /healthz; absent = none. */
  metricsPorts: Record<string, number>;
}

export interface NodeConfig {
  /** Lower-case UUID. */
  id: string;
  name: string;
  meta: Record<string, string>;
  datacenter: string;
  primaryDatacenter: string;
  locality: { region: string; zone: string } | null;
  protocol: number;
  /** The level of Consul that is reported to clients (`build` tag, /v1/agent/self). */
  consulVersion: string;
  /** The id, when it must be made, follows from the host's own id. */
  isIdOfHost: boolean;
}

/** Literal IP addresses, templates resolved. A listener is `ip` or `unix:///path`. */
export interface AddressConfig {
  bind: string;
  client: string[];
  advertise: string;
  advertiseWan: string;
  serfLanBind: string;
  serfWanBind: string;
  /** lan, wan, lan_ipv4, wan_ipv4, lan_ipv6, wan_ipv6 as far as known, and the user's own. */
  tagged: Record<string, string>;
  dns: string[];
  http: string[];
  https: string[];
  grpc: string[];
  grpcTls: string[];
}

/** -1 = off. */
export interface PortConfig {
  dns: number;
  http: number;
  https: number;
  grpc: number;
  grpcTls: number;
  serfLan: number;
  serfWan: number;
  server: number;
  sidecarMin: number;
  sidecarMax: number;
  exposeMin: number;
  exposeMax: number;
  proxyMin: number;
  proxyMax: number;
}

export interface GossipPoolConfig {
  gossipIntervalMs: number;
  gossipNodes: number;
  probeIntervalMs: number;
  probeTimeoutMs: number;
  suspicionMult: number;
  retransmitMult: number;
  /** Addresses to try until one succeeds; without a port the pool's own port is meant. */
  retryJoin: string[];
  retryIntervalMs: number;
  /** 0 = for ever. */
  retryMax: number;
  reconnectTimeoutMs: number;
  /** CIDRs; empty = all. */
  allowedCidrs: string[];
}

export interface GossipConfig {
  lan: GossipPoolConfig;
  wan: GossipPoolConfig;
  /** Base64 key of 16, 24 or 32 bytes; empty = no encryption unless a keyring file exists. */
  encrypt: string;
  encryptVerifyIncoming: boolean;
  encryptVerifyOutgoing: boolean;
  disableKeyringFile: boolean;
  rejoinAfterLeave: boolean;
  /** Client nodes only; 0 = not announced. */
  advertiseReconnectTimeoutMs: number;
}

export interface RaftConfig {
  protocol: number;
  /** 1 to 10; ours is 1 by default, and timings at 1 are the design's. */
  multiplier: number;
  snapshotThreshold: number;
  snapshotIntervalMs: number;
  trailingLogs: number;
  prevoteDisabled: boolean;
  rpcHoldTimeoutMs: number;
  leaveDrainTimeMs: number;
  grpcKeepaliveIntervalMs: number;
  grpcKeepaliveTimeoutMs: number;
}

/** Seeds the replicated autopilot configuration at first bootstrap only. */
export interface AutopilotConfig {
  cleanupDeadServers: boolean;
  lastContactThresholdMs: number;
  maxTrailingLogs: number;
  minQuorum: number;
  serverStabilizationTimeMs: number;
}

export interface DnsConfig {
  /** With the final dot, lower case: `consul.`. */
  domain: string;
  /** As domain; empty = none. */
  altDomain: string;
  /** `ip:port` each, in order, no duplicates. */
  recursors: string[];
  allowStale: boolean;
  maxStaleMs: number;
  nodeTtlMs: number;
  /** Service name, `prefix*` or `*` → TTL. */
  serviceTtlMs: Record<string, number>;
  enableTruncate: boolean;
  onlyPassing: boolean;
  recursorStrategy: "sequential" | "random";
  recursorTimeoutMs: number;
  disableCompression: boolean;
  udpAnswerLimit: number;
  aRecordLimit: number;
  nodeMetaTxt: boolean;
  soa: { refresh: number; retry: number; expire: number; minTtl: number };
  useCache: boolean;
  cacheMaxAgeMs: number;
  /** Curia: how long a view that lost its server still answers. */
  viewMaxAgeMs: number;
}

export interface HttpConfig {
  blockEndpoints: string[];
  /** CIDRs; empty = all may write. */
  allowWriteHttpFrom: string[];
  responseHeaders: Record<string, string>;
  useCache: boolean;
  /** Resolved: never 0. */
  maxHeaderBytes: number;
  disableUnprintableCharFilter: boolean;
  defaultQueryTimeMs: number;
  maxQueryTimeMs: number;
  discoveryMaxStaleMs: number;
  useStreamingBackend: boolean;
  maxConnsPerClient: number;
  httpsHandshakeTimeoutMs: number;
}

export interface UiConfig {
  enabled: boolean;
  dir: string;
  /** With a slash at both ends. */
  contentPath: string;
  metricsProvider: string;
  metricsProviderFiles: string[];
  metricsProviderOptionsJson: string;
  metricsProxy: {
    baseUrl: string;
    addHeaders: { name: string; value: string }[];
    pathAllowlist: string[];
  };
  dashboardUrlTemplates: Record<string, string>;
}

export interface LimitsConfig {
  rpcHandshakeTimeoutMs: number;
  rpcClientTimeoutMs: number;
  rpcMaxConnsPerClient: number;
  /** -1 = no limit. */
  rpcRate: number;
  rpcMaxBurst: number;
  requestLimits: {
    mode: "disabled" | "permissive" | "enforcing";
    readRate: number;
    writeRate: number;
  };
  kvMaxValueSize: number;
  txnMaxReqLen: number;
}

export interface ChecksConfig {
  updateIntervalMs: number;
  outputMaxSize: number;
  discardOutput: boolean;
  /** Scripts given over the API may run. */
  enableRemoteScripts: boolean;
  /** Scripts given in configuration files may run. */
  enableLocalScripts: boolean;
  aeIntervalMs: number;
  deregisterIntervalMinMs: number;
  reapIntervalMs: number;
  enableAgentTlsForChecks: boolean;
}

export interface AclConfig {
  enabled: boolean;
  defaultPolicy: string;
  downPolicy: string;
  defaultIntentionPolicy: string;
  policyTtlMs: number;
  tokenTtlMs: number;
  roleTtlMs: number;
  enableKeyListPolicy: boolean;
  enableTokenReplication: boolean;
  enableTokenPersistence: boolean;
  tokens: {
    initialManagement: string;
    default: string;
    agent: string;
    agentRecovery: string;
    replication: string;
    configFileServiceRegistration: string;
    dns: string;
  };
}

export interface ConnectConfig {
  enabled: boolean;
  caProvider: string;
  /** As given, keys untouched. */
  caConfig: Record<string, unknown>;
  enableMeshGatewayWanFederation: boolean;
  primaryGateways: string[];
  primaryGatewaysIntervalMs: number;
  peeringEnabled: boolean;
  xdsUpdateMaxPerSecond: number;
}

export type LogLevel = "trace" | "debug" | "info" | "warn" | "error";

export interface LogConfig {
  level: LogLevel;
  json: boolean;
  file: string;
  rotateBytes: number;
  rotateDurationMs: number;
  rotateMaxFiles: number;
  syslog: boolean;
  syslogFacility: string;
}

export interface TelemetryConfig {
  metricsPrefix: string;
  disableHostname: boolean;
  filterDefault: boolean;
  /** Prefixes let through and held back, each without its sign. */
  allowedPrefixes: string[];
  blockedPrefixes: string[];
  /** 0 = the Prometheus format is off. */
  prometheusRetentionTimeMs: number;
  statsdAddress: string;
  statsiteAddress: string;
  dogstatsdAddr: string;
  dogstatsdTags: string[];
}

export interface LeaveConfig {
  onTerminate: boolean;
  skipOnInterrupt: boolean;
}
