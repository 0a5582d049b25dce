// What makes a check definition usable, in Consul's words; for files and for the API alike.

import type { CheckDefinition } from "../definitions.ts";

/** The fields that decide the kind of a check. */
export type CheckKindFields = Pick<
  CheckDefinition,
  | "args"
  | "dockerContainerId"
  | "http"
  | "tcp"
  | "udp"
  | "grpc"
  | "h2ping"
  | "osService"
  | "aliasService"
  | "aliasNode"
  | "intervalMs"
  | "ttlMs"
  | "outputMaxSize"
  | "failuresBeforeWarning"
  | "failuresBeforeCritical"
>;

/** The first complaint, or undefined. */
export function refuseCheck(check: CheckKindFields): string | undefined {
  const isPolled = check.args.length > 0 || check.http !== "" || check.tcp !== "" ||
    check.udp !== "" || check.grpc !== "" || check.h2ping !== "" || check.osService !== "" ||
    check.dockerContainerId !== "";
  const isAlias = check.aliasService !== "" || check.aliasNode !== "";
  if (check.intervalMs > 0 && check.ttlMs > 0) return "Interval and TTL cannot both be specified";
  if (isPolled && check.intervalMs <= 0) {
    return "Interval must be > 0 for Script, HTTP, H2PING, TCP, UDP or OSService checks";
  }
  if (isPolled && isAlias) return "Interval cannot be set for Alias checks";
  if (isAlias && check.ttlMs > 0) return "TTL must be not be set for Alias checks";
  if (!isPolled && !isAlias && check.ttlMs <= 0) return "TTL must be > 0 for TTL checks";
  if (check.outputMaxSize < 0) return "MaxOutputMaxSize must be positive";
  if (check.failuresBeforeWarning > check.failuresBeforeCritical) {
    return "FailuresBeforeWarning can't be higher than FailuresBeforeCritical";
  }
  return undefined;
}
