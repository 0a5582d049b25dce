// What can be watched, as texts: apply touches them, watches wait on them. One key per question, so
// that a watch wakes when its own answer changed. Keys and prefixes of KV are matched in watch.ts.

export const watchKey = {
  nodes: () => "nodes",
  node: (peer: string, node: string) => `node ${peer} ${node.toLowerCase()}`,
  services: () => "services",
  /** Rows of a service and of the nodes they are on. */
  instances: (peer: string, service: string) => `instances ${peer} ${service.toLowerCase()}`,
  /** The same with their checks. */
  health: (peer: string, service: string) => `health ${peer} ${service.toLowerCase()}`,
  /** Proxies and native instances that stand for a service, with their checks. */
  mesh: (peer: string, service: string) => `mesh ${peer} ${service.toLowerCase()}`,
  nodeChecks: (peer: string, node: string) => `checks-of-node ${peer} ${node.toLowerCase()}`,
  serviceChecks: (peer: string, service: string) =>
    `checks-of-service ${peer} ${service.toLowerCase()}`,
  checkState: (status: string) => `checks-in ${status}`,
  sessions: () => "sessions",
  session: (id: string) => `session ${id}`,
  nodeSessions: (node: string) => `sessions-of ${node.toLowerCase()}`,
  coordinates: () => "coordinates",
  coordinate: (node: string) => `coordinate ${node.toLowerCase()}`,
  document: (kind: string, id: string) => `document ${kind} ${id}`,
  documents: (kind: string) => `documents ${kind}`,
} as const;
