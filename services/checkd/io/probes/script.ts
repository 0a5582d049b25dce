// Script check: exit 0 passes, 1 warns, everything else is critical (Consul's checks of kind Script).

import { type ChildProcess, spawn } from "node:child_process";
import { formatDurationMs } from "#shared/consul/duration.ts";
import type { ProbeResult } from "../../core/schedule.ts";
import { TailBuffer } from "./output.ts";
import type { Probe } from "./probe.ts";

export const probeScript: Probe = (check, context) =>
  new Promise((resolve) => {
    const [program = "", ...rest] = check.args;
    const output = new TailBuffer(context.outputMax);
    // Its own process group, so that a timeout ends what it started too.
    const child = spawn(program, rest, { detached: true, stdio: ["ignore", "pipe", "pipe"] });
    let isTold = false;
    const timer = setTimeout(() => {
      isTold = true;
      killGroup(child);
      const took = formatDurationMs(context.timeoutMs);
      const text = `Timed out (${took}) running check\n\n${output.textWithHead()}`;
      context.report({ status: "critical", output: text, isFinal: true });
    }, context.timeoutMs);
    const abort = () => {
      isTold = true;
      killGroup(child);
    };
    const finish = (result: ProbeResult) => {
      clearTimeout(timer);
      context.signal.removeEventListener("abort", abort);
      resolve(isTold ? null : result);
    };
    context.signal.addEventListener("abort", abort);
    child.stdout.on("data", (chunk: Uint8Array) => output.write(chunk));
    child.stderr.on("data", (chunk: Uint8Array) => output.write(chunk));
    child.once("error", (error) => {
      finish({ status: "critical", output: startError(program, error), isFinal: true });
    });
    child.once("close", (code) => {
      finish({ status: statusOf(code), output: output.textWithHead(), isFinal: false });
    });
  });

export function statusOf(exitCode: number | null): string {
  return exitCode === 0 ? "passing" : exitCode === 1 ? "warning" : "critical";
}

function startError(program: string, error: Error): string {
  const { code } = error as { code?: string };
  if (code === "ENOENT") {
    return program.includes("/")
      ? `fork/exec ${program}: no such file or directory`
      : `exec: "${program}": executable file not found in $PATH`;
  }
  if (code === "EACCES") return `fork/exec ${program}: permission denied`;
  return `fork/exec ${program}: ${error.message}`;
}

function killGroup(child: ChildProcess): void {
  if (child.pid === undefined) return;
  try {
    process.kill(-child.pid, "SIGKILL");
  } catch {
    // The group is gone already.
  }
}
