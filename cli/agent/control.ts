// The agent's own control socket, <run_dir>/agent.sock: status, reload, stop.

import { Control } from "#proto/services.ts";
import { BusClient } from "#shared/bus/client.ts";
import { BusServer } from "#shared/bus/server.ts";
import { socketPath } from "#shared/config/load.ts";
import { release } from "#shared/config/release.ts";
import type { EffectiveConfig } from "#shared/config/types.ts";
import { systemClock } from "#shared/machine.ts";
import { identityOf } from "./identity.ts";
import type { PostStatus } from "./supervisor.ts";

export interface AgentControl {
  config(): EffectiveConfig;
  status(): PostStatus[];
  /** Throws CuriaError with the text for the operator. */
  reload(): Promise<{ changed: string[]; needsRestart: string[] }>;
  /** The node has left, or is to go without leaving. */
  stop(): void;
}

const reloadTimeoutMs = 5_000;
const readyPollMs = 20;

/** Throws when another agent holds the socket. */
export async function serveControl(control: AgentControl): Promise<BusServer> {
  const config = control.config();
  const startedWallMs = systemClock.wallMs();
  const server = new BusServer({ identity: identityOf(config, "agent") });
  server.serve(Control, {
    status: () => ({
      daemon: "agent",
      pid: process.pid,
      release,
      ready: true,
      reason: "",
      startedWallMs,
      configHash: control.config().hash,
      memoryBytes: process.memoryUsage.rss(),
      details: Object.fromEntries(
        control.status().map(({ daemon, instance, pid, restartCount }) => [
          `${daemon}.${instance}`,
          `pid=${pid ?? "none"} restarts=${restartCount}`,
        ]),
      ),
    }),
    reload: () => control.reload(),
    stop: () => {
      // The answer must leave before the socket closes.
      setTimeout(() => control.stop(), 1);
      return {};
    },
  });
  await server.listen({ path: socketPath(config, "agent") });
  return server;
}

/** Resolves when every daemon said that it is ready, or the signal came. */
export async function awaitReady(
  config: EffectiveConfig,
  posts: readonly PostStatus[],
  signal: AbortSignal,
): Promise<void> {
  await Promise.all(posts.map(async ({ daemon, instance }) => {
    const client = connect(config, daemon, instance);
    signal.addEventListener("abort", () => client.close(), { once: true });
    while (!signal.aborted) {
      try {
        const { ready } = await client.of(Control).status({}, { timeoutMs: reloadTimeoutMs });
        if (ready) break;
      } catch {
        // Not there yet, or on its way up again.
      }
      await Bun.sleep(readyPollMs);
    }
    client.close();
  }));
}

function connect(config: EffectiveConfig, daemon: string, instance: number): BusClient {
  return new BusClient({
    addresses: [{ path: socketPath(config, daemon, instance) }],
    daemon,
    identity: identityOf(config),
  });
}

export interface DaemonReload {
  daemon: string;
  changed: readonly string[];
  needsRestart: readonly string[];
  /** Empty when it worked. */
  error: string;
}

/** Tells each running daemon to read config.json again. */
export function reloadDaemons(
  config: EffectiveConfig,
  posts: readonly PostStatus[],
): Promise<DaemonReload[]> {
  return Promise.all(posts.map(async ({ daemon, instance }) => {
    const client = connect(config, daemon, instance);
    try {
      const reply = await client.of(Control).reload({}, { timeoutMs: reloadTimeoutMs });
      return { daemon, changed: reply.changed, needsRestart: reply.needsRestart, error: "" };
    } catch (error) {
      return { daemon, changed: [], needsRestart: [], error: (error as Error).message };
    } finally {
      client.close();
    }
  }));
}
