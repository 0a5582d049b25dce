// A raftd in a process of its own, without the rest of a node: three of them make a cluster, whose
// first configuration lies in the log from the start.

import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Raft, State } from "#proto/services.ts";
import type { CommandInput, RaftStats } from "#proto/messages.js";
import { BusClient } from "#shared/bus/client.ts";
import { encodeConfiguration } from "../../../services/raftd/core/raft/membership.ts";
import { LogStore } from "../../../services/raftd/io/log-store.ts";
import { VoteFile } from "../../../services/raftd/io/vote-file.ts";
import { loopbackNet, until } from "../node.ts";

const END_TIMEOUT_MS = 30_000;
const program = join(import.meta.dirname, "raftd.ts");

export interface DiskServerOptions {
  name: string;
  id: string;
  address: string;
  /** Of raftd's configuration. */
  config: Record<string, unknown>;
  /** Where data_dir is; else a folder of its own. */
  dataDir?: string;
}

export class DiskServer {
  readonly name: string;
  readonly id: string;
  readonly folder: string;
  readonly raftFolder: string;
  readonly stallFile: string;
  readonly checkpointFile: string;
  readonly #options: DiskServerOptions;
  readonly #client: BusClient;
  #process: Bun.Subprocess | undefined;

  constructor(options: DiskServerOptions) {
    this.#options = options;
    this.name = options.name;
    this.id = options.id;
    this.folder = mkdtempSync(join(tmpdir(), "curia-disk-"));
    this.raftFolder = join(options.dataDir ?? join(this.folder, "data"), "raft");
    this.stallFile = join(this.folder, "stall");
    this.checkpointFile = join(this.folder, "checkpointing");
    this.#client = new BusClient({
      addresses: [{ path: join(this.folder, "run/state.sock") }],
      daemon: "raftd",
      identity: { daemon: "test", release: "test", nodeId: "", node: "test", datacenter: "dc1" },
    });
  }

  /** Writes what every server of a new cluster has in its log. */
  bootstrap(servers: readonly { id: string; address: string }[]): void {
    mkdirSync(this.raftFolder, { recursive: true });
    const bytes = encodeConfiguration(
      servers.map(({ id, address }) => ({ id, address: `${address}:8300`, suffrage: "voter" })),
    );
    const log = new LogStore(join(this.raftFolder, "log.db"));
    const facts = { stampMs: 0, origin: "", id: 0, bytes };
    log.write([{ entries: [{ index: 1, term: 1, kind: "configuration", ...facts }] }]);
    log.close();
    const vote = new VoteFile(join(this.raftFolder, "vote"));
    vote.save({ term: 1, votedFor: "" });
    vote.close();
  }

  get address(): string {
    return this.#options.address;
  }

  get logFile(): string {
    return join(this.folder, "raftd.log");
  }

  get log(): string {
    return readFileSync(this.logFile, "utf8");
  }

  get pid(): number {
    if (this.#process === undefined) throw new Error(`${this.name} was not started`);
    return this.#process.pid;
  }

  /** `killAt`: "step count", where it ends itself. */
  start(killAt = ""): void {
    const file = join(this.folder, "raftd.json");
    const { address, config, name, id, dataDir } = this.#options;
    writeFileSync(
      file,
      JSON.stringify({
        node_name: name,
        node_id: id,
        server: true,
        data_dir: dataDir ?? join(this.folder, "data"),
        run_dir: join(this.folder, "run"),
        bind_addr: address,
        client_addr: address,
        ...config,
      }),
    );
    rmSync(this.checkpointFile, { force: true });
    rmSync(this.logFile, { force: true });
    const output = Bun.file(this.logFile);
    this.#process = Bun.spawn([process.execPath, program, "-config-file", file], {
      stdin: "ignore",
      stdout: output,
      stderr: output,
      env: {
        ...process.env,
        CURIA_KILL_AT: killAt === "" ? " 0" : killAt,
        CURIA_STALL_FILE: this.stallFile,
        CURIA_CHECKPOINT_FILE: this.checkpointFile,
      },
    });
  }

  /** Settles when the process has ended, by itself or by `kill`. */
  async ended(why: string): Promise<NodeJS.Signals | number | null> {
    const ended = this.#process!;
    let isOver = false;
    void ended.exited.then(() => isOver = true);
    const stats: unknown[] = [];
    await until(`${this.name} ends at ${why}`, END_TIMEOUT_MS, async () => {
      if (isOver || stats.length > 3_000) return isOver;
      stats.push(await this.stats());
      return isOver;
    }, () => `${JSON.stringify([stats[0], stats.at(-1)])}\n${this.log.slice(-4_000)}`);
    return ended.signalCode ?? ended.exitCode;
  }

  async kill(): Promise<void> {
    this.#process?.kill("SIGKILL");
    await this.#process?.exited;
  }

  get isRunning(): boolean {
    return this.#process !== undefined && this.#process.exitCode === null &&
      this.#process.signalCode === null;
  }

  /** True once the command is applied there; throws what the bus throws. */
  async apply(command: CommandInput, timeoutMs = 5_000): Promise<boolean> {
    const outcome = await this.#client.of(State).apply(command, { timeoutMs });
    if (outcome.errorCode !== 0) throw new Error(outcome.error);
    return outcome.ok;
  }

  async stats(): Promise<RaftStats | undefined> {
    return await this.#client.of(Raft).stats({}, { timeoutMs: 1_000 }).catch(() => undefined);
  }

  /** Gives the lead to another server. */
  async giveUpLead(): Promise<void> {
    await this.#client.of(Raft).transferLeader({}, { timeoutMs: 5_000 });
  }

  async remove(): Promise<void> {
    this.#client.close();
    rmSync(this.stallFile, { force: true });
    await this.kill();
    rmSync(this.folder, { recursive: true, force: true });
  }
}

/** Servers of one new cluster, not started. */
export function diskServers(
  count: number,
  config: Record<string, unknown>,
  dataDirs: readonly (string | undefined)[] = [],
): DiskServer[] {
  const net = loopbackNet();
  const servers = Array.from({ length: count }, (_, n) =>
    new DiskServer({
      name: `server-${n + 1}`,
      id: crypto.randomUUID(),
      address: net(n + 1),
      config,
      dataDir: dataDirs[n],
    }));
  for (const server of servers) server.bootstrap(servers);
  return servers;
}
