// `ps`, `logs`, `metrics`: what the daemons of this node do.

import { formatText, parseLine } from "./agent/log-lines.ts";
import { formatColumns } from "./columns.ts";
import type { Command, CommandContext } from "./command.ts";
import { connectDaemon, findRunDir, runDirFlag, socketNames } from "./daemon-client.ts";
import { flag } from "./flags.ts";
import { ask, CommandFailure, refuseArguments, refuseWithHelp } from "./refusal.ts";

const statusTimeoutMs = 2_000;
const defaultLines = 100;

export const commands: readonly Command[] = [
  {
    path: "ps",
    summary: "Shows the daemons of this node and whether they are ready",
    usage: "[options]",
    flags: [runDirFlag, flag("json", "bool", "As JSON, with every detail.")],
    isClient: true,
    run: ps,
  },
  {
    path: "logs",
    summary: "Shows the last log lines of a daemon, and follows them",
    usage: "[options] DAEMON",
    help: "Options may also follow the daemon's name.",
    flags: [
      runDirFlag,
      flag("f", "bool", "Go on with each new line."),
      flag("n", "uint", "How many of the last lines (default 100)."),
      flag("level", "string", "Only lines of this level and above."),
      flag("json", "bool", "Lines as the daemon wrote them."),
    ],
    isClient: true,
    takesFlagsAnywhere: true,
    run: logs,
  },
  {
    path: "metrics",
    summary: "Shows the metrics of a daemon",
    usage: "[options] DAEMON",
    flags: [runDirFlag, flag("format", "string", "Output format {prometheus|json}")],
    isClient: true,
    takesFlagsAnywhere: true,
    run: metrics,
  },
];

async function ps(context: CommandContext): Promise<number> {
  refuseArguments(context.args);
  const runDir = await findRunDir(context);
  const names = socketNames(runDir);
  const statuses = await Promise.all(names.map((name) => statusOf(runDir, name)));
  if (context.flags.bool("json")) {
    context.terminal.out(`${JSON.stringify(statuses, null, 2)}\n`);
    return 0;
  }
  const newest = statuses.find(({ name }) => name === "agent")?.configHash;
  const rows = statuses.map((status) => [
    status.name,
    status.error === "" ? String(status.pid) : "-",
    status.error !== "" ? "down" : status.ready ? "ready" : "waiting",
    status.error === "" ? formatAge(Date.now() - status.startedWallMs) : "-",
    status.error === "" ? `${(status.memoryBytes / 2 ** 20).toFixed(1)} MiB` : "-",
    configNote(status.configHash, newest),
    status.error || status.reason || formatDetails(status.details),
  ]);
  context.terminal.out(
    formatColumns([["Daemon", "PID", "State", "Up", "Memory", "Config", "Details"], ...rows]),
  );
  return statuses.every(({ error, ready }) => error === "" && ready) ? 0 : 1;
}

async function statusOf(runDir: string, name: string) {
  const link = connectDaemon(runDir, name);
  try {
    const reply = await link.control.status({}, { timeoutMs: statusTimeoutMs });
    return { ...reply, startedWallMs: Number(reply.startedWallMs), name, error: "" };
  } catch (error) {
    const message = (error as Error).message;
    return {
      name,
      error: message,
      pid: 0,
      ready: false,
      reason: "",
      startedWallMs: 0,
      memoryBytes: 0,
      configHash: "",
      details: {} as Record<string, string>,
    };
  } finally {
    link.close();
  }
}

/** A daemon that missed a reload shows. */
function configNote(hash: string, newest: string | undefined): string {
  if (hash === "") return "-";
  return newest === undefined || hash === newest ? hash.slice(0, 8) : `${hash.slice(0, 8)} (older)`;
}

function formatDetails(details: Record<string, string>): string {
  return Object.entries(details).map(([name, value]) => `${name}=${value}`).join(" ");
}

function formatAge(ms: number): string {
  const seconds = Math.max(0, Math.round(ms / 1000));
  if (seconds < 120) return `${seconds}s`;
  const minutes = Math.round(seconds / 60);
  if (minutes < 120) return `${minutes}m`;
  const hours = Math.round(minutes / 60);
  return hours < 48 ? `${hours}h` : `${Math.round(hours / 24)}d`;
}

async function logs(context: CommandContext): Promise<number> {
  const { flags, terminal } = context;
  const name = oneDaemon(context);
  const link = connectDaemon(await findRunDir(context), name);
  const interrupted = new AbortController();
  process.once("SIGINT", () => interrupted.abort());
  try {
    const lines = link.control.tailLog({
      lines: flags.int("n", defaultLines),
      follow: flags.bool("f"),
      level: flags.string("level"),
    }, { signal: interrupted.signal });
    for await (const { line } of lines) {
      terminal.out(
        flags.bool("json") ? `${line}\n` : `${formatText(parseLine(line, name, Date.now()))}\n`,
      );
    }
    return 0;
  } catch (error) {
    if (interrupted.signal.aborted) return 0;
    throw new CommandFailure(`Error reading the log of ${name}: ${(error as Error).message}`);
  } finally {
    link.close();
  }
}

async function metrics(context: CommandContext): Promise<number> {
  const name = oneDaemon(context);
  const link = connectDaemon(await findRunDir(context), name);
  try {
    const format = context.flags.string("format", "prometheus");
    const { body } = await ask(
      `Error reading metrics of ${name}`,
      link.control.metrics({ format }),
    );
    context.terminal.out(body.endsWith("\n") ? body : `${body}\n`);
    return 0;
  } finally {
    link.close();
  }
}

function oneDaemon(context: CommandContext): string {
  const [name] = context.args;
  if (name === undefined) refuseWithHelp(context, "Expected the name of a daemon");
  return name!.replace(/\.1$/, "");
}
