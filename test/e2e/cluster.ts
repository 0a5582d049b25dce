// Several nodes as one cluster, and the command line as a user types it.

import { loopbackNet, program, TestNode, until } from "./node.ts";

export interface ClusterOptions {
  servers: number;
  clients?: number;
  /** Configuration of every node. */
  config?: Record<string, unknown>;
}

export class Cluster {
  readonly net = loopbackNet();
  readonly servers: TestNode[];
  readonly clients: TestNode[];
  readonly #serverAddresses: string[];
  readonly #config: Record<string, unknown>;
  readonly #bootstrapExpect: number;

  constructor({ servers, clients = 0, config = {} }: ClusterOptions) {
    this.#config = config;
    this.#bootstrapExpect = servers;
    this.#serverAddresses = Array.from({ length: servers }, (_, n) => this.net(n + 1));
    this.servers = this.#serverAddresses.map((_, n) => this.node(n + 1, true));
    this.clients = Array.from({ length: clients }, (_, n) => this.node(servers + n + 1, false));
  }

  get nodes(): TestNode[] {
    return [...this.servers, ...this.clients];
  }

  /** One more node, not started; `nodes` does not have it. */
  node(number: number, isServer: boolean): TestNode {
    return new TestNode({
      name: `${isServer ? "server" : "client"}-${number}`,
      address: this.net(number),
      server: isServer,
      retryJoin: this.#serverAddresses,
      bootstrapExpect: isServer ? this.#bootstrapExpect : undefined,
      config: this.#config,
    });
  }

  async start(): Promise<void> {
    for (const node of this.nodes) node.start();
    await Promise.all(this.nodes.map((node) => node.ready()));
    await until("every node is in the catalog", 30_000, async () => {
      const known = await this.servers[0]!.json<unknown[]>("/v1/catalog/nodes");
      return known.length === this.nodes.length;
    });
  }

  /** The server that this node takes for the leader. */
  async leader(asked = this.servers[0]!): Promise<TestNode> {
    const address = await asked.json<string>("/v1/status/leader");
    const leader = this.servers.find((node) => address.startsWith(`${node.address}:`));
    if (leader === undefined) throw new Error(`the leader is "${address}"`);
    return leader;
  }

  async remove(): Promise<void> {
    await Promise.all(this.nodes.map((node) => node.remove()));
  }
}

export interface Spoken {
  status: number;
  out: string;
  err: string;
}

/** A client command against a node. */
export async function curia(node: TestNode, ...args: string[]): Promise<Spoken> {
  const child = Bun.spawn([...program, ...args], {
    env: { ...process.env, CONSUL_HTTP_ADDR: node.http },
    stdin: "ignore",
    stdout: "pipe",
    stderr: "pipe",
  });
  const [out, err] = await Promise.all([
    new Response(child.stdout).text(),
    new Response(child.stderr).text(),
  ]);
  return { status: await child.exited, out, err };
}

/** The same, which must work; gives what it printed. */
export async function said(node: TestNode, ...args: string[]): Promise<string> {
  const { status, out, err } = await curia(node, ...args);
  if (status !== 0) throw new Error(`curia ${args.join(" ")}: ${status}\n${out}${err}`);
  return out;
}

interface CheckRow {
  Node: string;
  CheckID: string;
  Status: string;
  Output: string;
}

/** The node's serfHealth as a server's catalog has it; undefined: it is not there. */
export async function serfHealth(asked: TestNode, name: string): Promise<CheckRow | undefined> {
  const rows = await asked.json<CheckRow[]>(`/v1/health/node/${name}`);
  return rows.find(({ CheckID }) => CheckID === "serfHealth");
}
