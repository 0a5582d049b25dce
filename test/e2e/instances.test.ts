// Two instances of the stateless daemons share their ports; one of each is killed under load, and
// only what that one had in hand has to ask again.

import { afterAll, beforeAll, expect, test } from "bun:test";
import { createSocket } from "node:dgram";
import * as packets from "dns-packet";
import { dig, loopbackNet, TestNode, until } from "./node.ts";

const names = ["apid.1", "apid.2", "dnsd.1", "dnsd.2"];
const node = new TestNode({
  name: "server-1",
  address: loopbackNet()(1),
  bootstrapExpect: 1,
  config: { instances: { apid: 2, dnsd: 2 } },
});

beforeAll(async () => {
  await node.start().ready();
  await node.allReady(names);
  await node.put("/v1/kv/shared", "both");
  await node.put("/v1/agent/service/register", { Name: "web", Address: "10.9.8.7" });
  await until("the service is in DNS", 30_000, async () => {
    return (await dig(node.address, "web.service.consul")).length === 1;
  });
}, 120_000);
afterAll(() => node.remove(), 60_000);

/** Repeats `act` on several callers until stopped. */
class Callers {
  #isStopped = false;
  readonly #done: Promise<unknown>;
  rounds = 0;

  constructor(count: number, act: () => Promise<void>) {
    this.#done = Promise.all(Array.from({ length: count }, async () => {
      while (!this.#isStopped) {
        await act();
        this.rounds++;
      }
    }));
  }

  async more(count: number): Promise<void> {
    const before = this.rounds;
    await until(`${count} more rounds`, 30_000, () => this.rounds >= before + count);
  }

  async stop(): Promise<void> {
    this.#isStopped = true;
    await this.#done;
  }
}

test(
  "two apids answer on one port, and the death of one fails only its own connections",
  async () => {
    const wrong: string[] = [];
    let broken = 0, repeats = 0;
    const read = async (): Promise<string> => {
      const response = await fetch(`${node.http}/v1/kv/shared?raw`, { keepalive: false });
      return `${response.status} ${await response.text()}`;
    };
    const requests = (name: string) => node.counted(name, /^apid_connections_total /);
    const callers = new Callers(8, async () => {
      // A connection of the killed one breaks; the next reaches the other.
      for (let attempt = 1;; attempt++) {
        const answer = await read().catch(() => undefined);
        if (answer === undefined && attempt < 50) {
          if (attempt === 1) broken++;
          else repeats++;
          continue;
        }
        if (answer !== "200 both") wrong.push(String(answer));
        return;
      }
    });
    await callers.more(200);
    for (const name of ["apid.1", "apid.2"]) expect(await requests(name)).toBeGreaterThan(0);
    for (const victim of ["apid.1", "apid.2"]) {
      await node.kill(victim);
      await callers.more(200);
    }
    await callers.stop();
    expect(wrong).toEqual([]);
    // At most what eight callers had open at two deaths, and what was queued for the dead listener.
    console.log(`${callers.rounds} requests, ${broken} met a dead apid, ${repeats} of them again`);
    expect(broken).toBeLessThanOrEqual(32);
  },
  120_000,
);

/** Asks as a resolver does: again from a new port when no answer comes. */
async function ask(): Promise<{ attempts: number; address: string }> {
  for (let attempts = 1; attempts <= 20; attempts++) {
    const socket = createSocket("udp4");
    socket.on("error", () => {});
    const reply = await new Promise<Uint8Array | undefined>((resolve) => {
      const timer = setTimeout(() => resolve(undefined), 1_000);
      socket.once("message", (message) => {
        clearTimeout(timer);
        resolve(message);
      });
      const query = packets.encode({
        type: "query",
        id: attempts,
        questions: [{ type: "A", name: "web.service.consul" }],
      });
      socket.send(query, 8600, node.address);
    });
    socket.close();
    if (reply === undefined) continue;
    const [answer] = packets.decode(Buffer.from(reply)).answers ?? [];
    return { attempts, address: answer?.type === "A" ? answer.data : "none" };
  }
  return { attempts: 20, address: "no answer" };
}

test(
  "two dnsds answer on one port, and the death of one costs no answer after a retry",
  async () => {
    const wrong: string[] = [];
    let retried = 0;
    const callers = new Callers(8, async () => {
      const { attempts, address } = await ask();
      if (attempts > 1) retried++;
      if (address !== "10.9.8.7") wrong.push(address);
    });
    await callers.more(400);
    const queries = (name: string) => node.counted(name, /^dnsd_udp_queries_total /);
    for (const name of ["dnsd.1", "dnsd.2"]) expect(await queries(name)).toBeGreaterThan(0);
    for (const victim of ["dnsd.1", "dnsd.2"]) {
      await node.kill(victim);
      await callers.more(400);
    }
    await callers.stop();
    console.log(`${callers.rounds} questions, ${retried} asked again`);
    expect(wrong).toEqual([]);
    expect(retried).toBeLessThanOrEqual(64);
  },
  120_000,
);
