// Runs wrk and reads its report: rate and tail latency.

export interface Load {
  url: string;
  seconds: number;
  connections?: number;
  /** A Lua script of wrk. */
  script?: string;
}

export interface Rate {
  perSecond: number;
  p50Ms: number;
  p99Ms: number;
  /** Answers that were not 2xx or 3xx, and socket errors. */
  errors: number;
}

/** Both what is measured and its floor are compiled while they run: the first seconds tell of that. */
const warmUpSeconds = 3;

/** The rate after a warm-up that does not count. */
export async function measure(load: Load): Promise<Rate> {
  await run({ ...load, seconds: warmUpSeconds });
  return await run(load);
}

async function run({ url, seconds, connections = 64, script }: Load): Promise<Rate> {
  const args = ["-t2", `-c${connections}`, `-d${seconds}s`, "--latency"];
  if (script !== undefined) args.push("-s", script);
  const wrk = Bun.spawn(["wrk", ...args, url], { stdout: "pipe", stderr: "inherit" });
  const report = await new Response(wrk.stdout).text();
  if ((await wrk.exited) !== 0) throw new Error(`wrk failed:\n${report}`);
  const errors = numberAfter(report, /Non-2xx or 3xx responses:\s*(\d+)/) +
    ["connect", "read", "write", "timeout"]
      .reduce((sum, kind) => sum + numberAfter(report, new RegExp(`${kind} (\\d+)`)), 0);
  return {
    perSecond: numberAfter(report, /Requests\/sec:\s*([\d.]+)/),
    p50Ms: latency(report, "50%"),
    p99Ms: latency(report, "99%"),
    errors,
  };
}

function numberAfter(report: string, pattern: RegExp): number {
  return Number(pattern.exec(report)?.[1] ?? 0);
}

function latency(report: string, percentile: string): number {
  const found = new RegExp(`${percentile}\\s+([\\d.]+)(us|ms|s)`).exec(report);
  if (found === null) throw new Error(`Expected the ${percentile} latency in:\n${report}`);
  const factor = { us: 0.001, ms: 1, s: 1000 }[found[2] as "us" | "ms" | "s"];
  return Number(found[1]) * factor;
}
