// What every probe is: one run of a check against the world, with its result.

import type { CheckDefinition } from "#shared/config/definitions.ts";
import type { ProbeResult } from "../../core/schedule.ts";

export interface ProbeContext {
  /** Of the check, or its kind's default; 0: none. */
  timeoutMs: number;
  /** Bytes of output that are kept. */
  outputMax: number;
  /** The check was removed or the daemon stops. */
  signal: AbortSignal;
  /** A result before the run ends; the run then ends with null. */
  report: (result: ProbeResult) => void;
  /** The agent's certificate, when checks may use it (enable_agent_tls_for_checks). */
  tls: ProbeTls;
}

export interface ProbeTls {
  ca?: string;
  cert?: string;
  key?: string;
}

/** Never throws for what the world does: that is a critical result. */
export type Probe = (
  check: CheckDefinition,
  context: ProbeContext,
) => Promise<ProbeResult | null>;

export function passing(output: string): ProbeResult {
  return { status: "passing", output, isFinal: false };
}

export function critical(output: string): ProbeResult {
  return { status: "critical", output, isFinal: false };
}

/** TLS settings of a check for node:tls and node:http2. */
export function tlsOptions(check: CheckDefinition, host: string, tls: ProbeTls) {
  const servername = check.tlsServerName ||
    (/[a-zA-Z]/.test(host) && !host.includes(":") ? host : "");
  return {
    ...tls,
    rejectUnauthorized: !check.tlsSkipVerify,
    ...(servername === "" ? {} : { servername }),
  };
}
