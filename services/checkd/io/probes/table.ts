// Which probe runs a check. Adding a kind: its file, and a row here. A probe is loaded when the
// first check of its kind runs: HTTP/2 and TLS cost more than the rest of checkd together.

import type { CheckKind } from "../../core/check-rules.ts";
import type { Probe } from "./probe.ts";

/** TTL checks report for themselves; an alias reads other checks (alias.ts); Windows services are
 *  refused when they are registered. */
export const probes: Record<Exclude<CheckKind, "ttl" | "alias" | "os_service">, Probe> = {
  http: loaded(async () => (await import("./http.ts")).probeHttp),
  tcp: loaded(async () => (await import("./tcp.ts")).probeTcp),
  udp: loaded(async () => (await import("./udp.ts")).probeUdp),
  grpc: loaded(async () => (await import("./http2.ts")).probeGrpc),
  h2ping: loaded(async () => (await import("./http2.ts")).probeH2ping),
  script: loaded(async () => (await import("./script.ts")).probeScript),
  docker: loaded(async () => (await import("./docker.ts")).probeDocker),
};

function loaded(load: () => Promise<Probe>): Probe {
  return async (check, context) => {
    const probe = await load();
    return context.signal.aborted ? null : await probe(check, context);
  };
}
