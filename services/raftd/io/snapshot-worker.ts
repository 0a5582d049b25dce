// The worker for what takes long on state files and archives: one question, one answer
// (snapshot-link.ts).

import { toCuriaError } from "#shared/errors.ts";
import * as jobs from "./snapshot-jobs.ts";
import type { JobAnswer, JobQuestion } from "./snapshot-link.ts";

declare const self: {
  onmessage: (event: { data: JobQuestion }) => void;
  postMessage(answer: JobAnswer): void;
};

let last: Promise<void> = Promise.resolve();

if (!Bun.isMainThread) {
  self.onmessage = ({ data }) => {
    last = last.then(() => answer(data));
  };
}

async function answer({ id, name, parts }: JobQuestion): Promise<void> {
  try {
    const act = jobs[name] as (...given: unknown[]) => unknown;
    self.postMessage({ id, result: await act(...parts) });
  } catch (error) {
    const { code, message } = toCuriaError(error);
    self.postMessage({ id, error: { code, message } });
  }
}
