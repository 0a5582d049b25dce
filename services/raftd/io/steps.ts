// The steps by which the files of raftd change: after each of them the process may end, and what is
// left must be one whole state and one whole log. Tests listen to them, to end it there or to make
// the disk slow; a running raftd has no listener.

import { createRequire } from "node:module";

export type Step =
  /** The log writer is about to touch the disk. */
  | "log-writing"
  | "vote-saved"
  | "log-committed"
  /** The log of another history is gone: the installed state takes its place. */
  | "log-reset"
  | "log-compacted"
  | "log-trimmed"
  | "checkpoint-begun"
  | "checkpoint-done"
  /** The log may be compacted from now on. */
  | "checkpoint-told"
  | "state-copied"
  | "piece-written"
  | "snapshot-verified"
  | "state-renamed"
  | "pointer-written"
  | "pointer-switched"
  | "state-opened"
  | "old-state-removed";

export type OnStep = (step: Step) => void;

/** The `onStep` of a module, for a thread that can be given no function. */
export function listenerOf(module: string | undefined): OnStep {
  if (module === undefined) return noListener;
  const { onStep } = createRequire(import.meta.url)(module) as { onStep: OnStep };
  return onStep;
}

export const noListener: OnStep = () => {};
