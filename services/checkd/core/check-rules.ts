// Which kind a check is and whether its definition is valid: Consul's order of kinds and its texts.

import type { CheckDefinition } from "#shared/config/definitions.ts";
import { CuriaError } from "#shared/errors.ts";
import type { Source } from "./model.ts";

export type CheckKind =
  | "ttl"
  | "http"
  | "tcp"
  | "udp"
  | "grpc"
  | "docker"
  | "os_service"
  | "script"
  | "h2ping"
  | "alias";

/** How the check runs, when a definition names several kinds. */
export function kindOf(check: CheckDefinition): CheckKind | undefined {
  const isPolled = check.intervalMs > 0;
  if (check.ttlMs > 0) return "ttl";
  if (check.http !== "" && isPolled) return "http";
  if (check.tcp !== "" && isPolled) return "tcp";
  if (check.udp !== "" && isPolled) return "udp";
  if (check.grpc !== "" && isPolled) return "grpc";
  if (isDocker(check) && isPolled) return "docker";
  if (check.osService !== "" && isPolled) return "os_service";
  if (isScript(check) && isPolled) return "script";
  if (check.h2ping !== "" && isPolled) return "h2ping";
  if (isAlias(check)) return "alias";
  return undefined;
}

/** The `Type` that is shown, which Consul decides in another order. */
export function typeOf(check: CheckDefinition): string {
  const isPolled = check.intervalMs > 0;
  if (check.grpc !== "" && isPolled) return "grpc";
  if (check.http !== "" && isPolled) return "http";
  if (check.ttlMs > 0) return "ttl";
  if (check.tcp !== "" && isPolled) return "tcp";
  if (check.udp !== "" && isPolled) return "udp";
  if (isAlias(check)) return "alias";
  if (isDocker(check) && isPolled) return "docker";
  if (isScript(check) && isPolled) return "script";
  if (check.h2ping !== "" && isPolled) return "h2ping";
  if (check.osService !== "" && isPolled) return "os_service";
  return "";
}

/** What is wrong with the definition, in Consul's words. */
export function checkFault(check: CheckDefinition): string | undefined {
  const polled = isScript(check) ||
    [check.http, check.tcp, check.udp, check.grpc, check.h2ping, check.osService]
      .some((target) => target !== "");
  if (check.intervalMs > 0 && check.ttlMs > 0) return "Interval and TTL cannot both be specified";
  if (polled && !(check.intervalMs > 0)) {
    return "Interval must be > 0 for Script, HTTP, H2PING, TCP, UDP or OSService checks";
  }
  if (polled && isAlias(check)) return "Interval cannot be set for Alias checks";
  if (isAlias(check) && check.ttlMs > 0) return "TTL must be not be set for Alias checks";
  if (!polled && !isAlias(check) && !(check.ttlMs > 0)) return "TTL must be > 0 for TTL checks";
  if (check.outputMaxSize < 0) return "MaxOutputMaxSize must be positive";
  if (check.failuresBeforeWarning > check.failuresBeforeCritical) {
    return "FailuresBeforeWarning can't be higher than FailuresBeforeCritical";
  }
  return undefined;
}

export interface ScriptPermission {
  enableLocalScripts: boolean;
  enableRemoteScripts: boolean;
}

/** Refuses what this agent may not run: scripts without leave, and what it has no way to run. */
export function refuseUnrunnable(
  check: CheckDefinition,
  source: Source,
  permission: ScriptPermission,
): void {
  if (isScript(check)) {
    if (source === "local" && !permission.enableLocalScripts) {
      throw new CuriaError(
        "failed-precondition",
        "Scripts are disabled on this agent; to enable, configure 'enable_script_checks' or " +
          "'enable_local_script_checks' to true",
      );
    }
    if (source === "remote" && !permission.enableRemoteScripts) {
      throw new CuriaError(
        "failed-precondition",
        "Scripts are disabled on this agent from remote calls; to enable, configure " +
          "'enable_script_checks' to true",
      );
    }
  }
  if (kindOf(check) === "os_service") {
    throw new CuriaError("failed-precondition", "not implemented");
  }
}

const networkTimeoutMs = 10_000;
const scriptTimeoutMs = 30_000;
const intervalMinMs = 1_000;

/** The timeout that applies when the definition gives none; 0: none. */
export function timeoutOf(check: CheckDefinition): number {
  if (check.timeoutMs > 0) return check.timeoutMs;
  const kind = kindOf(check);
  if (kind === "docker") return 0;
  return kind === "script" ? scriptTimeoutMs : networkTimeoutMs;
}

export function intervalOf(check: CheckDefinition): number {
  return Math.max(check.intervalMs, intervalMinMs);
}

const outputSizeDefault = 4096;

export function outputSizeOf(check: CheckDefinition, agentMax: number): number {
  const max = agentMax > 0 ? agentMax : outputSizeDefault;
  return check.outputMaxSize > 0 ? Math.min(max, check.outputMaxSize) : max;
}

function isScript(check: CheckDefinition): boolean {
  return check.args.length > 0;
}

function isDocker(check: CheckDefinition): boolean {
  return check.dockerContainerId !== "" && isScript(check);
}

function isAlias(check: CheckDefinition): boolean {
  return check.aliasService !== "" || check.aliasNode !== "";
}
