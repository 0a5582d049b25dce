// What checkd takes of the configuration. Reloads: services, checks, node metadata,
// discard_check_output, script permissions.

import { readFileSync } from "node:fs";
import type { DaemonConfig } from "#shared/config/parts.ts";
import type { AgentSettings } from "./core/agent.ts";
import type { ConfigDefinitions } from "./core/config-definitions.ts";
import type { ProbeTls } from "./io/probes/probe.ts";

export type CheckdConfig = DaemonConfig<"checkd">;

export function agentSettings(config: CheckdConfig, adoptResults: boolean): AgentSettings {
  const { node, addresses, checks, acl, ports } = config;
  const { region = "", zone = "" } = node.locality ?? {};
  return {
    node: {
      id: node.id,
      node: node.name,
      address: addresses.advertise,
      datacenter: node.datacenter,
      taggedAddresses: addresses.tagged,
      meta: {
        ...node.meta,
        "consul-network-segment": "",
        "consul-version": node.consulVersion,
      },
      localityJson: node.locality === null ? "" : JSON.stringify({ Region: region, Zone: zone }),
    },
    rules: {
      enableLocalScripts: checks.enableLocalScripts,
      enableRemoteScripts: checks.enableRemoteScripts,
      sidecarPorts: { min: ports.sidecarMin, max: ports.sidecarMax },
    },
    sync: {
      intervalMs: checks.aeIntervalMs,
      outputIntervalMs: checks.updateIntervalMs,
      tokens: {
        agent: acl.tokens.agent,
        default: acl.tokens.default,
        configFile: acl.tokens.configFileServiceRegistration,
      },
      adoptResults,
    },
    outputSizeMax: checks.outputMaxSize,
    discardOutput: checks.discardOutput,
    reapIntervalMs: checks.reapIntervalMs,
    deregisterMinMs: checks.deregisterIntervalMinMs,
  };
}

export function definitionsOf(config: CheckdConfig): ConfigDefinitions {
  return { services: config.services, checks: config.checkDefinitions };
}

/** The agent's own certificate for checks over TLS, when it may be used for them. */
export function probeTls(config: CheckdConfig): ProbeTls {
  if (!config.checks.enableAgentTlsForChecks) return {};
  const { caFile, certFile, keyFile } = config.tls.internalRpc;
  const read = (path: string) => path === "" ? undefined : readFileSync(path, "utf8");
  const [ca, cert, key] = [read(caFile), read(certFile), read(keyFile)];
  return {
    ...(ca === undefined ? {} : { ca }),
    ...(cert === undefined ? {} : { cert }),
    ...(key === undefined ? {} : { key }),
  };
}
