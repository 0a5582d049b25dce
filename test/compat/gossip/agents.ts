// Real `serf agent` processes and pools of ours on loopback, for the interop tests.
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Random } from "#shared/random.ts";
import type { Input, Member } from "../../../services/gossipd/core/border.ts";
import { formatKeyring, Keyring } from "../../../services/gossipd/core/keyring.ts";
import { lanProfile, type Profile } from "../../../services/gossipd/core/settings.ts";
import { type OutsideEffect, PoolLoop } from "../../../services/gossipd/io/loop.ts";

export const loopback = Uint8Array.of(127, 0, 0, 1);
const versions = Uint8Array.of(1, 5, 2, 2, 5, 5);
/** A rumour may die out before it reached everyone; then the exchange of whole states, each 30 s,
 *  brings it. */
const waitMaxMs = 90_000;

/** Polls a condition that other processes bring about. */
export async function until<T>(
  what: string,
  look: () => T | undefined | false | Promise<T | undefined | false>,
  maxMs = waitMaxMs,
): Promise<T> {
  const endMs = performance.now() + maxMs;
  while (true) {
    const found = await look();
    if (found) return found;
    if (performance.now() > endMs) throw new Error(`waited ${maxMs} ms in vain for: ${what}`);
    await Bun.sleep(50);
  }
}

export function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer();
    server.once("error", reject);
    server.listen(0, "127.0.0.1", () => {
      const { port } = server.address() as { port: number };
      server.close(() => resolve(port));
    });
  });
}

export class Folder {
  readonly path = mkdtempSync(join(tmpdir(), "curia-serf-"));

  remove(): void {
    rmSync(this.path, { recursive: true, force: true });
  }
}

export class SerfAgent {
  readonly name: string;
  readonly port: number;
  readonly #rpcPort: number;
  readonly #process: Bun.Subprocess<"ignore", "pipe", "pipe">;
  log = "";

  private constructor(
    name: string,
    port: number,
    rpcPort: number,
    process: Bun.Subprocess<"ignore", "pipe", "pipe">,
  ) {
    this.name = name;
    this.port = port;
    this.#rpcPort = rpcPort;
    this.#process = process;
    void this.#collect(process.stdout);
    void this.#collect(process.stderr);
  }

  static async start(
    name: string,
    folder: Folder,
    options: { keys?: Uint8Array[]; args?: string[] } = {},
  ): Promise<SerfAgent> {
    const port = await freePort();
    const rpcPort = await freePort();
    const args = ["-profile=lan", "-protocol=5", `-node=${name}`, "-log-level=debug"];
    args.push(`-bind=127.0.0.1:${port}`, `-rpc-addr=127.0.0.1:${rpcPort}`, ...options.args ?? []);
    if (options.keys) {
      const file = join(folder.path, `${name}.keyring`);
      writeFileSync(file, formatKeyring(new Keyring(options.keys)));
      args.push(`-keyring-file=${file}`);
    }
    const process = Bun.spawn(["serf", "agent", ...args], {
      stdin: "ignore",
      stdout: "pipe",
      stderr: "pipe",
    });
    const agent = new SerfAgent(name, port, rpcPort, process);
    await until(`${name} answers`, async () => (await agent.run("info")).code === 0);
    return agent;
  }

  async #collect(stream: ReadableStream<Uint8Array>): Promise<void> {
    const decoder = new TextDecoder();
    for await (const chunk of stream) this.log += decoder.decode(chunk, { stream: true });
  }

  async run(command: string, ...args: string[]): Promise<{ code: number; out: string }> {
    const argv = ["serf", command, `-rpc-addr=127.0.0.1:${this.#rpcPort}`, ...args];
    const process = Bun.spawn(argv, { stdout: "pipe", stderr: "pipe" });
    const [out, err, code] = await Promise.all([
      new Response(process.stdout).text(),
      new Response(process.stderr).text(),
      process.exited,
    ]);
    return { code, out: out + err };
  }

  /** Name to status. */
  async members(): Promise<Map<string, string>> {
    const { out } = await this.run("members", "-format=json");
    const { members } = JSON.parse(out) as { members: { name: string; status: string }[] };
    return new Map(members.map((member) => [member.name, member.status]));
  }

  async tags(name: string): Promise<Record<string, string>> {
    const { out } = await this.run("members", "-format=json", `-name=${name}`);
    return (JSON.parse(out) as { members: { tags: Record<string, string> }[] }).members[0]!.tags;
  }

  kill(signal: NodeJS.Signals = "SIGKILL"): void {
    this.#process.kill(signal);
  }

  async stop(): Promise<void> {
    this.#process.kill("SIGKILL");
    await this.#process.exited;
  }
}

export class OwnNode {
  readonly name: string;
  readonly effects: OutsideEffect[] = [];
  loop!: PoolLoop;
  /** Answers queries of this name. */
  answer: ((name: string, payload: Uint8Array) => Uint8Array | undefined) | undefined;

  private constructor(name: string) {
    this.name = name;
  }

  static async start(
    name: string,
    options: {
      keys?: Uint8Array[];
      tags?: Record<string, string>;
      bindPort?: number;
      profile?: Partial<Profile>;
    } = {},
  ): Promise<OwnNode> {
    const node = new OwnNode(name);
    node.loop = await PoolLoop.open({
      settings: {
        ...lanProfile,
        ...options.profile,
        name,
        address: loopback,
        port: 0,
        tags: new Map(Object.entries(options.tags ?? { role: "curia" })),
        versions,
        admission: { kind: "open" },
      },
      bindAddress: "127.0.0.1",
      bindPort: options.bindPort ?? 0,
      random: new Random(Math.floor(Math.random() * 2 ** 32)),
      keyring: options.keys && new Keyring(options.keys),
      outside: (effect) => node.#outside(effect),
    });
    return node;
  }

  #outside(effect: OutsideEffect): void {
    this.effects.push(effect);
    if (effect.kind !== "query") return;
    const payload = this.answer?.(effect.name, effect.payload);
    if (payload) this.step({ kind: "query-answered", query: effect.query, payload });
  }

  step(input: Input): void {
    this.loop.step(input);
  }

  async join(port: number): Promise<void> {
    const join = this.effects.length + 1;
    this.step({ kind: "join-requested", join, peers: [{ address: loopback, port }] });
    const joined = await this.seen("joined", (effect) => effect.join === join);
    if (joined.contactedCount === 0) throw new Error(joined.errors.join("; "));
  }

  seen<K extends OutsideEffect["kind"]>(
    kind: K,
    fits: (effect: Extract<OutsideEffect, { kind: K }>) => boolean = () => true,
  ): Promise<Extract<OutsideEffect, { kind: K }>> {
    return until(
      `${this.name}: ${kind}`,
      () =>
        this.effects.find((effect): effect is Extract<OutsideEffect, { kind: K }> =>
          effect.kind === kind && fits(effect as Extract<OutsideEffect, { kind: K }>)
        ),
    );
  }

  members(): Map<string, string> {
    return new Map(
      this.loop.machine.members().map((member: Member) => [member.name, member.status]),
    );
  }

  stop(): Promise<void> {
    return this.loop.stop();
  }
}
