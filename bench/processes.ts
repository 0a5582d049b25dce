// The processes of a node: how much memory they take together, and their end at one moment.

import { readdirSync, readFileSync } from "node:fs";

/** The process and all below it. */
export function processTree(pid: number): number[] {
  try {
    const tasks = readdirSync(`/proc/${pid}/task`);
    const children = tasks.flatMap((task) =>
      readFileSync(`/proc/${pid}/task/${task}/children`, "utf8").trim().split(" ")
    ).filter((text) => text !== "").map(Number);
    return [pid, ...children.flatMap(processTree)];
  } catch {
    // It ended meanwhile.
    return [];
  }
}

/** Proportional set size of all processes of an agent, in MB. */
export function memoryMb(agent: number): number {
  return processTree(agent).reduce((sum, pid) => sum + pssKb(pid), 0) / 1024;
}

function pssKb(pid: number): number {
  try {
    const rollup = readFileSync(`/proc/${pid}/smaps_rollup`, "utf8");
    return Number(/^Pss:\s+(\d+)/m.exec(rollup)?.[1] ?? 0);
  } catch {
    return 0;
  }
}

/** Ends every process of an agent with one stroke, as a machine that loses its power. */
export function killTree(agent: number): void {
  for (const pid of processTree(agent)) {
    try {
      process.kill(pid, "SIGKILL");
    } catch {
      // It ended meanwhile.
    }
  }
}
