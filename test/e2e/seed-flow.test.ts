// The whole pipeline with real processes: registration → agent → check → Raft → DNS, blocking reads.
// Three servers and a client node on loopback addresses, a real HTTP service behind the check.

import { afterAll, beforeAll, expect, test } from "bun:test";
import { dig, loopbackNet, TestNode, until } from "./node.ts";

const net = loopbackNet();
const serverAddresses = [net(1), net(2), net(3)];
const servers = serverAddresses.map((address, n) =>
  new TestNode({
    name: `server-${n + 1}`,
    address,
    bootstrapExpect: 3,
    retryJoin: serverAddresses,
  })
);
const client = new TestNode({
  name: "client-1",
  address: net(4),
  server: false,
  retryJoin: serverAddresses,
});
const nodes = [...servers, client];

/** A real service whose health can be switched. */
class Service {
  isHealthy = true;
  probes = 0;
  readonly #server = Bun.serve({
    hostname: client.address,
    port: 0,
    fetch: () => {
      this.probes++;
      return new Response("ok", { status: this.isHealthy ? 200 : 503 });
    },
  });

  get port(): number {
    return this.#server.port!;
  }

  stop(): void {
    void this.#server.stop(true);
  }
}
const [first, second] = [new Service(), new Service()];

interface Instance {
  Service: { ID: string; Port: number };
  Checks: { CheckID: string; Status: string }[];
}

/** Follows /v1/health/service/api by blocking queries and keeps every answer with a new index. */
class Follower {
  readonly answers: { index: number; body: string }[] = [];
  #isStopped = false;
  readonly #done: Promise<void>;

  constructor(node: TestNode) {
    this.#done = this.#follow(node);
  }

  async #follow(node: TestNode): Promise<void> {
    let index = 0;
    while (!this.#isStopped) {
      const response = await node.fetch(`/v1/health/service/api?index=${index}&wait=5s`);
      const next = Number(response.headers.get("X-Consul-Index"));
      const body = await response.text();
      if (next !== index) this.answers.push({ index: next, body });
      index = next;
    }
  }

  async stop(): Promise<void> {
    this.#isStopped = true;
    await this.#done;
  }
}

beforeAll(async () => {
  for (const node of nodes) node.start();
  await Promise.all(nodes.map((node) => node.ready()));
  await until("the client node is in the catalog", 20_000, async () => {
    const known = await client.json<{ Node: string }[]>("/v1/catalog/nodes");
    return known.length === 4;
  });
}, 60_000);

afterAll(async () => {
  first.stop();
  second.stop();
  await Promise.all(nodes.map((node) => node.remove()));
}, 60_000);

const register = (id: string, service: Service) =>
  client.put("/v1/agent/service/register", {
    ID: id,
    Name: "api",
    Port: service.port,
    Address: client.address,
    Check: { HTTP: `http://${client.address}:${service.port}/health`, Interval: "5s" },
  });

const passing = async (node: TestNode) =>
  (await node.json<Instance[]>("/v1/health/service/api?passing")).map(({ Service }) => Service.ID);

const answersOnAll = (wanted: number) => async () => {
  const found = await Promise.all(nodes.map((node) => dig(node.address, "api.service.consul")));
  return found.every((addresses) => addresses.length === wanted);
};

test(
  "register, fail, recover, a second instance: DNS, ?passing and blocking reads follow",
  async () => {
    const follower = new Follower(servers[1]!);
    await register("api-1", first);
    await until("DNS on every node answers api", 12_000, answersOnAll(1));
    expect(await passing(servers[0]!)).toEqual(["api-1"]);

    first.isHealthy = false;
    // Within one interval of 5 s, and what the machine takes.
    await until("the failing instance is out of DNS everywhere", 8_000, answersOnAll(0));
    expect(await passing(servers[2]!)).toEqual([]);
    const catalog = await client.json<{ ServiceID: string }[]>("/v1/catalog/service/api");
    expect(catalog.map(({ ServiceID }) => ServiceID)).toEqual(["api-1"]);

    first.isHealthy = true;
    await until("the recovered instance is back in DNS everywhere", 8_000, answersOnAll(1));

    await register("api-2", second);
    const ports = async () =>
      (await dig(client.address, "api.service.consul", "SRV"))
        .map((line) => Number(line.split(" ")[2]));
    await until("both instances are in DNS", 12_000, async () => (await ports()).length === 2);
    const orders = new Set<string>();
    for (let n = 0; n < 30; n++) orders.add((await ports()).join(","));
    expect(orders.size).toBe(2);

    await follower.stop();
    // Each answer differs from the one before: no blocking read returned without a change.
    const bodies = follower.answers.map(({ body }) => body);
    for (let n = 1; n < bodies.length; n++) expect(bodies[n]).not.toBe(bodies[n - 1]);
    const statuses = follower.answers.map(({ body }) =>
      (JSON.parse(body) as Instance[]).map(({ Service, Checks }) =>
        `${Service.ID} ${Checks.find(({ CheckID }) => CheckID !== "serfHealth")?.Status}`
      ).join(", ")
    );
    const seen = [
      "api-1 passing",
      "api-1 critical",
      "api-1 passing",
      "api-1 passing, api-2 passing",
    ];
    let at = 0;
    for (const status of statuses) if (status === seen[at]) at++;
    expect({ found: seen.slice(0, at), statuses }).toMatchObject({ found: seen });
    const indexes = follower.answers.map(({ index }) => index);
    expect(indexes).toEqual([...indexes].sort((a, b) => a - b));
  },
  90_000,
);
