// The agent as other daemons of the node call it (proto/checkd.proto).

import type { AgentServices, CheckInput } from "#proto/messages.js";
import { Agent as AgentService } from "#proto/services.ts";
import type { Call, Handlers } from "#shared/bus/types.ts";
import { type Agent, type AgentEffect, overApi } from "./core/agent.ts";
import type { CheckEntry, ServiceEntry } from "./core/local-state.ts";
import type { Loop } from "./io/loop.ts";
import {
  checkMessage,
  definitionMessage,
  definitionOf,
  registrationOf,
  serviceMessage,
} from "./io/rows.ts";

/** How long an answer waits for the catalog: who registers and then asks finds it there. A catalog
 *  that is away holds nobody up. */
const pushWaitMs = 3_000;

export function agentHandlers(agent: Agent, loop: Loop): Handlers<typeof AgentService> {
  /** Answers when the change is durable, and pushed if the catalog can be reached. */
  const change = async (act: (nowMs: number) => AgentEffect[]): Promise<Record<string, never>> => {
    const durable = loop.do((_, nowMs) => act(nowMs));
    const pushed = loop.settled(pushWaitMs);
    await durable;
    await pushed;
    return {};
  };
  return {
    registerService: (request, call) =>
      change((nowMs) => {
        const registration = registrationOf(request);
        registration.token ||= call.context.token;
        return agent.registerService(registration, request.replaceExistingChecks, overApi, nowMs);
      }),
    deregisterService: ({ id }) => change((nowMs) => agent.deregisterService(id, nowMs)),
    registerCheck: ({ check, token }, call) =>
      change((nowMs) =>
        agent.registerCheck(definitionOf(check), token || call.context.token, overApi, nowMs)
      ),
    deregisterCheck: ({ id }) => change((nowMs) => agent.deregisterCheck(id, nowMs)),
    updateTtlCheck: ({ checkId, status, output }) =>
      change((nowMs) => agent.updateTtl(checkId, status, output, nowMs)),
    setMaintenance: ({ serviceId, enable, reason, token }, call) =>
      change((nowMs) =>
        agent.setMaintenance(serviceId, enable, reason, token || call.context.token, nowMs)
      ),
    listServices: () => listServices(agent),
    listChecks: () => ({
      checks: [...agent.local.checks.values()].map((entry) => checkAnswer(entry, agent)),
      version: agent.local.version,
    }),
    waitChange: ({ version }, call) => waitChange(agent, loop, version, call),
    syncNow: async () => {
      await loop.syncAll(pushWaitMs);
      return {};
    },
  };
}

function listServices(agent: Agent): AgentServices {
  const services = [...agent.local.services.values()].map((entry: ServiceEntry) => ({
    service: serviceMessage(entry.row),
    token: "",
    fromConfig: entry.source === "local",
    inSync: entry.sync === "synced",
    sidecar: entry.isSidecar,
  }));
  return { services, version: agent.local.version } as AgentServices;
}

function checkAnswer(entry: CheckEntry, agent: Agent) {
  const check: CheckInput = checkMessage(entry.row, agent.local.node.node);
  return {
    check,
    definition: entry.definition === null ? null : definitionMessage(entry.definition),
    inSync: entry.sync === "synced",
  };
}

function waitChange(agent: Agent, loop: Loop, version: number, call: Call) {
  if (version !== agent.local.version) return { version: agent.local.version };
  return new Promise<{ version: number }>((resolve) => {
    const forget = loop.onNextChange(() => resolve({ version: agent.local.version }));
    call.onCancel(forget);
  });
}
