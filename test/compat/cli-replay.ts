// Replays recorded command lines (fixtures/cli/cases.json) against a binary and compares exit
// status, stdout and stderr. As a program: `bun test/compat/cli-replay.ts BIN [--group NAME]...
// [-v]`, against the fresh server of CONSUL_HTTP_ADDR (started with fixtures/cli/server.json).

import {
  chmodSync,
  copyFileSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join, resolve } from "node:path";

const fixtures = join(import.meta.dir, "fixtures/cli");
const caseTimeoutMs = 60_000;

/** Parts of recorded texts that vary: `<<name>>`. */
const macros: Record<string, string> = {
  uuid: "[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}",
  int: "\\d+",
  port: "\\d{2,5}",
  float: "\\d+(?:\\.\\d+)?",
  version: "\\d+\\.\\d+\\.\\d+[\\w.+-]*",
  time: "\\d{4}-\\d\\d-\\d\\dT\\d\\d:\\d\\d:\\d\\d(?:\\.\\d+)?(?:Z|[+-]\\d\\d:?\\d\\d)",
  rfc850: "[A-Z][a-z]+day, \\d\\d-[A-Z][a-z]{2}-\\d\\d \\d\\d:\\d\\d:\\d\\d [A-Z+\\-0-9]+",
  key: "[A-Za-z0-9+/]{43}=",
  id8: "[0-9a-f]{8}",
  any: "[^\\n]*",
  rest: "[\\s\\S]*",
  spaces: " {2,}",
};

export interface RecordedCase {
  group: string;
  args: string[];
  exit: number;
  stdout: string;
  stderr: string;
  stdin?: string;
  files?: Record<string, string>;
  copies?: Record<string, string>;
  env?: Record<string, string>;
  retry_s?: number;
  prepare?: boolean;
}

export interface Verdict {
  recorded: RecordedCase;
  /** Undefined when it passed. */
  problem: string | undefined;
}

export function readCases(): RecordedCase[] {
  return JSON.parse(readFileSync(join(fixtures, "cases.json"), "utf8")) as RecordedCase[];
}

/** A recorded text as a pattern: literal but for its macros. */
export function patternOf(text: string): RegExp {
  const parts = text.split(/<<(\w+)>>/);
  const source = parts.map((part, i) => i % 2 === 0 ? RegExp.escape(part) : `(?:${macros[part]})`);
  return new RegExp(`^${source.join("")}$`);
}

/** Runs one command line; `cwd` is its working directory. */
export type Runner = (options: {
  args: readonly string[];
  cwd: string;
  env: Record<string, string>;
  stdin: string;
}) => Promise<{ exit: number; stdout: string; stderr: string }>;

export interface Replay {
  run: Runner;
  httpAddr: string;
  /** Empty: all. */
  groups: readonly string[];
  /** What `${SERF}` and `${HTTP}` stand for. */
  names: Readonly<Record<string, string>>;
}

/** Runs the cases in order, one working directory per group. */
export async function replay(options: Replay): Promise<Verdict[]> {
  const folders = new Map<string, string>();
  const verdicts: Verdict[] = [];
  try {
    for (const recorded of readCases()) {
      const { group } = recorded;
      if (options.groups.length > 0 && !options.groups.includes(group)) continue;
      let folder = folders.get(group);
      if (folder === undefined || group === "validate") {
        folder = mkdtempSync(join(tmpdir(), "curia-cli-"));
        chmodSync(folder, 0o700);
        folders.set(group === "validate" ? folder : group, folder);
      }
      const problem = await runUntilFine(recorded, folder, options);
      if (!recorded.prepare) verdicts.push({ recorded, problem });
    }
  } finally {
    for (const folder of folders.values()) rmSync(folder, { recursive: true, force: true });
  }
  return verdicts;
}

async function runUntilFine(
  recorded: RecordedCase,
  folder: string,
  options: Replay,
): Promise<string | undefined> {
  const endMs = performance.now() + (recorded.retry_s ?? 0) * 1000;
  for (;;) {
    const problem = await runOnce(recorded, folder, options);
    if (problem === undefined || performance.now() > endMs) return problem;
    await Bun.sleep(500);
  }
}

async function runOnce(
  recorded: RecordedCase,
  folder: string,
  options: Replay,
): Promise<string | undefined> {
  for (const [name, text] of Object.entries(recorded.files ?? {})) {
    const path = join(folder, name);
    mkdirSync(dirname(path), { recursive: true });
    writeFileSync(path, text);
  }
  for (const [name, source] of Object.entries(recorded.copies ?? {})) {
    copyFileSync(resolve(fixtures, source), join(folder, name));
  }
  const args = recorded.args.map((word) =>
    Object.entries(options.names).reduce(
      (text, [name, value]) => text.replaceAll(name, value),
      word,
    )
  );
  const { exit, stdout, stderr } = await options.run({
    args,
    cwd: folder,
    env: environment(folder, options.httpAddr, recorded.env),
    stdin: recorded.stdin ?? "",
  });
  if (exit !== recorded.exit) {
    return `exit ${exit}, expected ${recorded.exit} (stdout ${
      JSON.stringify(stdout.slice(0, 300))
    }` +
      `, stderr ${JSON.stringify(stderr.slice(0, 300))})`;
  }
  for (const [name, got] of [["stdout", stdout], ["stderr", stderr]] as const) {
    if (patternOf(recorded[name]).test(got)) continue;
    return `${name}\n    expected ${JSON.stringify(recorded[name])}\n    got      ` +
      JSON.stringify(got);
  }
  return undefined;
}

/** A program as a process; `words` go before the recorded ones. */
export function processRunner(...words: string[]): Runner {
  return async ({ args, cwd, env, stdin }) => {
    const child = Bun.spawn([...words, ...args], {
      cwd,
      env,
      stdin: Buffer.from(stdin),
      stdout: "pipe",
      stderr: "pipe",
      timeout: caseTimeoutMs,
      killSignal: "SIGKILL",
    });
    const [stdout, stderr, exit] = await Promise.all([
      new Response(child.stdout).text(),
      new Response(child.stderr).text(),
      child.exited,
    ]);
    return { exit, stdout, stderr };
  };
}

function environment(
  folder: string,
  httpAddr: string,
  own: Record<string, string> | undefined,
): Record<string, string> {
  const inherited = Object.entries(process.env).filter((entry): entry is [string, string] =>
    !entry[0].startsWith("CONSUL_") && entry[1] !== undefined
  );
  return {
    ...Object.fromEntries(inherited),
    HOME: folder,
    SHELL: "/bin/sh",
    TZ: "UTC",
    CURIA_PROGRAM: "consul",
    CONSUL_HTTP_ADDR: httpAddr,
    ...own,
  };
}

/** What the recorded words call `${SERF}` and `${HTTP}`, asked of the agent. */
export async function namesOf(httpAddr: string): Promise<Record<string, string>> {
  const host = httpAddr.split("://").at(-1)!;
  const reply = await fetch(`http://${host}/v1/agent/self`);
  const { Member } = await reply.json() as { Member: { Addr: string; Port: number } };
  return { "${HTTP}": host, "${SERF}": `${Member.Addr}:${Member.Port}` };
}

/** One line for each failure and a count for each group. */
export function reportOf(verdicts: readonly Verdict[]): string {
  const lines = verdicts.filter(({ problem }) => problem !== undefined)
    .map(({ recorded, problem }) =>
      `FAIL ${recorded.group}: ${recorded.args.join(" ")}: ${problem}`
    );
  const groups = [...new Set(verdicts.map(({ recorded }) => recorded.group))];
  const counts = groups.map((group) => {
    const own = verdicts.filter(({ recorded }) => recorded.group === group);
    const passed = own.filter(({ problem }) => problem === undefined).length;
    return `${group} ${passed}/${own.length}`;
  });
  return [...lines, counts.join(", ")].join("\n");
}

async function main(words: string[]): Promise<void> {
  const groups: string[] = [];
  const rest: string[] = [];
  for (let i = 0; i < words.length; i++) {
    if (words[i] === "--group") groups.push(words[++i]!);
    else rest.push(words[i]!);
  }
  const httpAddr = process.env["CONSUL_HTTP_ADDR"] ?? "127.0.0.1:8500";
  const needsAgent = groups.length === 0 ||
    groups.some((group) => group !== "validate" && group !== "no-server");
  const names = needsAgent ? await namesOf(httpAddr) : {};
  const verdicts = await replay({
    run: processRunner(resolve(rest[0]!)),
    httpAddr,
    groups,
    names,
  });
  console.log(reportOf(verdicts));
  const passed = verdicts.filter(({ problem }) => problem === undefined).length;
  console.log(`${passed} passed, ${verdicts.length - passed} failed`);
  process.exit(passed === verdicts.length ? 0 : 1);
}

if (import.meta.main) await main(process.argv.slice(2));
