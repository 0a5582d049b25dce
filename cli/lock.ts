// `lock`: runs a program while holding a lock, or one of n places of a semaphore, in the KV store.

import { formatDurationMs, parseDurationMs } from "#shared/consul/duration.ts";
import type { ApiClient } from "./api.ts";
import { ApiError } from "./api.ts";
import type { Command, CommandContext } from "./command.ts";
import { agentSelf } from "./events.ts";
import { flag } from "./flags.ts";
import { ask, CommandFailure } from "./refusal.ts";
import { SingleLock } from "./single-lock.ts";
import type { HeldLock } from "./single-lock.ts";
import { Semaphore } from "./semaphore.ts";
import { runProgram } from "./subprocess.ts";

const sessionTtlMs = 15_000;
const childFailedStatus = 2;

export const commands: readonly Command[] = [
  {
    path: "lock",
    summary: "Execute a command holding a lock",
    usage: "[options] prefix child...",
    flags: [
      flag("child-exit-code", "bool", "Exit 2 if the child process exited with an error."),
      flag("monitor-retry", "int", "Number of times to retry a query that fails (default 3)."),
      flag("n", "int", "Optional limit on the number of concurrent lock holders (default 1)."),
      flag("name", "string", "Optional name to associate with the lock session."),
      flag("pass-stdin", "bool", "Pass stdin to the child process."),
      flag("shell", "bool", "Use a shell to run the command (default true)."),
      flag("timeout", "duration", "Maximum amount of time to wait to acquire the lock."),
      flag("try", "duration", "Deprecated, the same as -timeout."),
      flag("verbose", "bool", "Enable verbose (debugging) output."),
    ],
    isClient: true,
    isServerCall: true,
    run: lock,
  },
];

async function lock({ args, flags, api, terminal }: CommandContext): Promise<number> {
  const [prefix, ...child] = args;
  const limit = flags.int("n", 1);
  if (limit <= 0) throw new CommandFailure("Lock holder limit must be positive");
  if (prefix === undefined || child.length === 0) {
    throw new CommandFailure("Key prefix and child command must be specified");
  }
  const path = prefix.replace(/^\//, "");
  const waitText = flags.string("timeout") || flags.string("try");
  const agent = api();
  await agentSelf(agent, "Error querying Consul agent");
  const name = flags.string("name") || `Consul lock for '${child.join(" ")}' at '${path}'`;
  const tell = (text: string) => {
    if (flags.bool("verbose")) terminal.out(`${text}\n`);
  };
  const session = await openSession(agent, name);
  try {
    const held: HeldLock = limit === 1
      ? new SingleLock(agent, `${path}/.lock`, session.id)
      : new Semaphore(agent, path, session.id, limit);
    tell("Attempting lock acquisition");
    const waitMs = waitText === "" ? undefined : parseDurationMs(waitText);
    const isAcquired = await ask("Lock acquisition failed", held.acquire(waitMs));
    if (!isAcquired) {
      throw new CommandFailure("Shutdown triggered or timeout during lock acquisition");
    }
    const problem = await runHolding(held, child, flags, terminal);
    tell("Releasing lock");
    await ask("Lock release failed", held.release());
    tell("Cleanup succeeded");
    return problem !== undefined && flags.bool("child-exit-code") ? childFailedStatus : 0;
  } finally {
    await session.close();
  }
}

/** The program is stopped when the lock is lost. */
async function runHolding(
  held: HeldLock,
  child: readonly string[],
  flags: CommandContext["flags"],
  terminal: CommandContext["terminal"],
): Promise<string | undefined> {
  const lost = new AbortController();
  const done = new AbortController();
  held.watch(done.signal, flags.int("monitor-retry", 3)).then((isLost) => {
    if (!isLost) return;
    terminal.err("Lock lost, killing child\n");
    lost.abort();
  });
  const problem = await runProgram(child, {
    hasShell: flags.bool("shell", true),
    env: { CONSUL_LOCK_HELD: "true" },
    stdin: flags.bool("pass-stdin") ? "inherit" : undefined,
    signal: lost.signal,
  });
  done.abort();
  if (problem !== undefined) terminal.err(`Error running handler: ${problem}\n`);
  return problem;
}

/** A session that is renewed until it is closed. */
export async function openSession(
  agent: ApiClient,
  name: string,
  extra: Record<string, string> = {},
): Promise<{ id: string; close(): Promise<void> }> {
  const { ID } = await ask(
    "Lock setup failed: failed to create session",
    agent.json<{ ID: string }>("PUT", "/v1/session/create", {
      body: { Name: name, TTL: formatDurationMs(sessionTtlMs), ...extra },
    }),
  );
  const timer = setInterval(() => {
    // A renewal that fails shows in the lock's own watch.
    agent.call("PUT", `/v1/session/renew/${ID}`).catch(() => {});
  }, sessionTtlMs / 2);
  return {
    id: ID,
    async close() {
      clearInterval(timer);
      try {
        await agent.call("PUT", `/v1/session/destroy/${ID}`);
      } catch (error) {
        // It expires by itself.
        if (!(error instanceof ApiError)) throw error;
      }
    },
  };
}
