// What raftd under test does at its steps on the disk (services/raftd/io/steps.ts): it ends itself at
// one of them, or waits there as long as a file exists. Each of its threads loads this module.

import { closeSync, existsSync, openSync, rmSync } from "node:fs";
import type { OnStep, Step } from "../../../services/raftd/io/steps.ts";

/** "step count": at which step, and at which time that it comes, all ends. */
const [killAt, killCount] = (process.env["CURIA_KILL_AT"] ?? " 0").split(" ");
/** While this file exists the log writer stands still before it touches the disk. */
const stallFile = process.env["CURIA_STALL_FILE"] ?? "";
/** Exists while a checkpoint is under way: its half-moved pages need the write-ahead log. */
const checkpointFile = process.env["CURIA_CHECKPOINT_FILE"] ?? "";

let left = Number(killCount);

export const onStep: OnStep = (step: Step) => {
  if (checkpointFile !== "") {
    if (step === "checkpoint-begun") closeSync(openSync(checkpointFile, "w"));
    if (step === "checkpoint-done") rmSync(checkpointFile, { force: true });
  }
  if (step === killAt && --left === 0) {
    process.kill(process.pid, "SIGKILL");
    for (;;) Bun.sleepSync(1_000);
  }
  if (step === "log-writing" && stallFile !== "") {
    while (existsSync(stallFile)) {
      Bun.sleepSync(20);
    }
  }
};
