// The parts of checkd put together: agent, loop, store, probes, presence.

import { join } from "node:path";
import type { BusClient } from "#shared/bus/client.ts";
import type { EffectiveConfig } from "#shared/config/types.ts";
import type { Reloaded } from "#shared/daemon.ts";
import type { Log } from "#shared/log.ts";
import type { Clock } from "#shared/machine.ts";
import type { Metrics } from "#shared/metrics.ts";
import { Random } from "#shared/random.ts";
import { agentSettings, type CheckdConfig, definitionsOf, probeTls } from "../config.ts";
import { Agent } from "../core/agent.ts";
import { registrationOf } from "../core/config-definitions.ts";
import type { Origin } from "../core/keeper.ts";
import { declareMetrics } from "../metrics.ts";
import { AbsenceMark } from "./absence.ts";
import { StateCatalog } from "./catalog.ts";
import { LocalStore } from "./local-store.ts";
import { Loop } from "./loop.ts";
import { Presence } from "./presence.ts";
import { ProbeRunner } from "./probe-runner.ts";
import { aliasProbe } from "./probes/alias.ts";
import { restore } from "./restore.ts";

type NodeConfig = CheckdConfig & Pick<EffectiveConfig, "checkdAbsenceTimeoutMs">;

export interface NodeParts {
  config: NodeConfig;
  state: BusClient;
  gossip: BusClient;
  log: Log;
  metrics: Metrics;
  clock: Clock;
}

const declared: Origin = { source: "local", sync: "dirty" };

export function openNode(parts: NodeParts) {
  const { state, gossip, log, clock } = parts;
  let { config } = parts;
  const mark = new AbsenceMark(config.runDir);
  const isShort = mark.awayMs(clock.wallMs()) < config.checkdAbsenceTimeoutMs;
  const seed = crypto.getRandomValues(new Uint32Array(1))[0]!;
  const agent = new Agent(agentSettings(config, isShort), new Random(seed));
  const metrics = declareMetrics(parts.metrics, agent.local);
  // With -dev nothing outlives the agent, but a daemon that dies must not take registrations along.
  const store = config.dataDir === ""
    ? new LocalStore(join(config.runDir, "checkd"), false)
    : new LocalStore(config.dataDir);
  const agentToken = config.acl.tokens.agent || config.acl.tokens.default;
  const probes = new ProbeRunner({
    outputSizeMax: config.checks.outputMaxSize,
    tls: probeTls(config),
    alias: aliasProbe(state, agentToken),
    clock,
    metrics,
  });
  const catalog = new StateCatalog(state, config.node.name, agentToken);
  const loop = new Loop({ agent, catalog, store, probes, clock, log, metrics });
  const presence = new Presence(gossip, {
    counted: (count) =>
      void loop.do((_, nowMs) => agent.sync({ kind: "members-counted", count }, nowMs)),
    serverUp: () => void loop.do((_, nowMs) => agent.sync({ kind: "server-up" }, nowMs)),
  }, log);
  state.onConnected = () => {
    void loop.do((_, nowMs) => agent.sync({ kind: "reconnected" }, nowMs));
  };
  restore(agent, loop, store, definitionsOf(config), clock, log);

  return {
    agent,
    loop,
    start(): void {
      mark.start();
      presence.start();
      void loop.do((_, nowMs) => agent.start(nowMs));
    },
    details(): Record<string, string> {
      const { services, checks, isDirty } = agent.local;
      return {
        services: String(services.size),
        checks: String(checks.size),
        catalog: loop.unreachable ?? (isDirty ? "behind" : "in step"),
      };
    },
    reload(next: NodeConfig): Reloaded {
      reload(agent, loop, config, next);
      config = next;
      return { changed: ["services", "checks", "node_meta"], needsRestart: [] };
    },
    stop(): void {
      presence.stop();
      loop.stop();
      mark.stop();
    },
  };
}

/** Definitions that did not change go on running as they are. */
function reload(agent: Agent, loop: Loop, config: CheckdConfig, next: CheckdConfig): void {
  const [before, after] = [definitionsOf(config), definitionsOf(next)];
  const known = new Set([...before.services, ...before.checks].map((one) => JSON.stringify(one)));
  const isNew = (one: object) => !known.has(JSON.stringify(one));
  void loop.do((_, nowMs) => agent.reload(agentSettings(next, false), before, after, nowMs));
  for (const service of after.services.filter(isNew)) {
    void loop.do((_, nowMs) =>
      agent.registerService(registrationOf(service), false, declared, nowMs)
    );
  }
  for (const check of after.checks.filter(isNew)) {
    void loop.do((_, nowMs) => agent.registerCheck(check, check.token, declared, nowMs));
  }
}
