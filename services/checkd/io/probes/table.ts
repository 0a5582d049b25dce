// Which probe runs a check. Adding a kind: its file, and a row here.

import type { CheckKind } from "../../core/check-rules.ts";
import { probeDocker } from "./docker.ts";
import { probeHttp } from "./http.ts";
import { probeGrpc, probeH2ping } from "./http2.ts";
import type { Probe } from "./probe.ts";
import { probeScript } from "./script.ts";
import { probeTcp } from "./tcp.ts";
import { probeUdp } from "./udp.ts";

/** TTL checks report for themselves; an alias reads other checks (alias.ts); Windows services are
 *  refused when they are registered. */
export const probes: Record<Exclude<CheckKind, "ttl" | "alias" | "os_service">, Probe> = {
  http: probeHttp,
  tcp: probeTcp,
  udp: probeUdp,
  grpc: probeGrpc,
  h2ping: probeH2ping,
  script: probeScript,
  docker: probeDocker,
};
