// When servers that have no state yet may write the first configuration (Consul's bootstrap and
// bootstrap_expect): once as many servers as expected see each other, all blank, all expecting the
// same number, each writes the same configuration.

import type { Configuration, Server, ServerId } from "../raft/messages.ts";

/** A server as gossip tells of it. */
export interface ServerMember {
  id: ServerId;
  name: string;
  /** ip:port of its server port. */
  address: string;
  /** Its bootstrap_expect; 0: none. */
  expect: number;
  /** It was started with `bootstrap`. */
  isBootstrap: boolean;
  /** It carries Curia's own tag. */
  isCuria: boolean;
}

export type BootstrapDecision =
  | { kind: "wait"; reason: string }
  /** Ask these servers for their configuration; if all are blank, write `configuration`. */
  | { kind: "ask"; servers: readonly ServerMember[]; configuration: Configuration }
  | { kind: "refuse"; reason: string };

export interface BootstrapSettings {
  bootstrap: boolean;
  expect: number;
  /** Consul's servers may be in the pool: they are no business of this cluster. */
  observe: boolean;
}

/** `self` and `alive` are the alive servers of this datacenter. */
export function decideBootstrap(
  settings: BootstrapSettings,
  self: ServerMember,
  alive: readonly ServerMember[],
): BootstrapDecision {
  const foreign = alive.find(({ isCuria }) => !isCuria);
  const others = alive.filter(({ isCuria }) => isCuria);
  if (foreign !== undefined && !settings.observe) {
    return {
      kind: "refuse",
      reason:
        `${foreign.name} in the gossip pool is a Consul server: servers of the two cannot form ` +
        "one cluster (migration.observe lets them see each other)",
    };
  }
  if (settings.bootstrap) {
    return { kind: "ask", servers: others, configuration: firstConfiguration([self]) };
  }
  if (settings.expect === 0) {
    return { kind: "wait", reason: "waiting for a leader to add this server" };
  }
  const bootstrapped = others.find(({ isBootstrap }) => isBootstrap);
  if (bootstrapped !== undefined) {
    return { kind: "refuse", reason: `${bootstrapped.name} is in bootstrap mode` };
  }
  const differing = others.find(({ expect }) => expect !== 0 && expect !== settings.expect);
  if (differing !== undefined) {
    const { name, expect } = differing;
    return {
      kind: "refuse",
      reason:
        `expected all servers to have bootstrap_expect ${settings.expect} but ${name} has ${expect}`,
    };
  }
  const expecting = [self, ...others.filter(({ expect }) => expect === settings.expect)];
  if (expecting.length < settings.expect) {
    return {
      kind: "wait",
      reason: `${expecting.length} of ${settings.expect} expected servers are there`,
    };
  }
  return { kind: "ask", servers: others, configuration: firstConfiguration(expecting) };
}

function firstConfiguration(members: readonly ServerMember[]): Configuration {
  const servers: Server[] = members
    .map(({ id, address }) => ({ id, address, suffrage: "voter" as const }))
    .sort((a, b) => (a.id < b.id ? -1 : 1));
  return { index: 1, servers };
}
