// Services, checks and watches as declared in configuration files, in Consul's terms.

/** What a configuration file or the API says of a service. Absent keys are null or empty. */
export interface ServiceDefinition {
  /** Never empty: the name when no id was given. */
  id: string;
  name: string;
  kind: string;
  /** Order counts for anti-entropy. */
  tags: string[];
  address: string;
  port: number;
  socketPath: string;
  taggedAddresses: Record<string, { address: string; port: number }>;
  meta: Record<string, string>;
  weights: { passing: number; warning: number };
  enableTagOverride: boolean;
  token: string;
  checks: CheckDefinition[];
  locality: { region: string; zone: string } | null;
  /** Keys as Consul's API writes them (PascalCase); null when absent. */
  proxy: Record<string, unknown> | null;
  connect: { native: boolean; sidecarService: Record<string, unknown> | null } | null;
}

/** One check. Durations in ms, 0 = not given. Which fields are set decides the kind. */
export interface CheckDefinition {
  id: string;
  name: string;
  notes: string;
  serviceId: string;
  token: string;
  /** passing, warning, critical, or empty. */
  status: string;
  args: string[];
  http: string;
  method: string;
  header: Record<string, string[]>;
  body: string;
  disableRedirects: boolean;
  tcp: string;
  tcpUseTls: boolean;
  udp: string;
  grpc: string;
  grpcUseTls: boolean;
  h2ping: string;
  h2pingUseTls: boolean;
  dockerContainerId: string;
  shell: string;
  aliasService: string;
  aliasNode: string;
  osService: string;
  tlsServerName: string;
  tlsSkipVerify: boolean;
  intervalMs: number;
  timeoutMs: number;
  ttlMs: number;
  outputMaxSize: number;
  successBeforePassing: number;
  failuresBeforeWarning: number;
  failuresBeforeCritical: number;
  deregisterCriticalServiceAfterMs: number;
}

/** A watch as given; its parameters are checked when it starts. */
export type WatchDefinition = Record<string, unknown>;
