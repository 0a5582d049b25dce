// Runs recorded command lines within the test's own process.

import { dispatch } from "../../cli/dispatch.ts";
import type { Runner } from "./cli-replay.ts";

/** Within this process: a process for each of the many cases would take minutes on a busy machine. */
export const inProcess: Runner = async ({ args, cwd, env, stdin }) => {
  const before = process.cwd();
  process.chdir(cwd);
  let stdout = "";
  let stderr = "";
  try {
    const exit = await dispatch({
      program: "consul",
      args,
      env,
      terminal: {
        out: (text) => stdout += text,
        outBytes: (bytes) => stdout += new TextDecoder().decode(bytes),
        err: (text) => stderr += text,
        stdin: () => Promise.resolve(new TextEncoder().encode(stdin)),
      },
    });
    return { exit, stdout, stderr };
  } finally {
    process.chdir(before);
  }
};
