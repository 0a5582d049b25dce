// DNS clients that close their sockets right after asking: the ICMP errors that their answers cause
// must not cost anybody else an answer.

import { afterAll, beforeAll, expect, test } from "bun:test";
import { createSocket, type Socket } from "node:dgram";
import * as packets from "dns-packet";
import { dig, loopbackNet, TestNode, until } from "./node.ts";

const node = new TestNode({ name: "server-1", address: loopbackNet()(1), bootstrapExpect: 1 });
const question = (id: number) =>
  packets.encode({
    type: "query",
    id,
    flags: packets.RECURSION_DESIRED,
    questions: [{ type: "A", name: "web.service.consul" }],
  });

beforeAll(async () => {
  await node.start().ready();
  await node.put("/v1/agent/service/register", { Name: "web", Address: "10.9.8.7" });
  await until("the service is in DNS", 30_000, async () => {
    return (await dig(node.address, "web.service.consul")).length === 1;
  });
}, 120_000);
afterAll(() => node.remove(), 60_000);

/** Asks and is gone before an answer can come. */
async function askAndLeave(): Promise<void> {
  const socket = createSocket("udp4");
  await new Promise<void>((resolve) =>
    socket.send(question(1), 8600, node.address, () => resolve())
  );
  socket.close();
}

/** A client that waits for its answers, one question at a time. */
class Patient {
  readonly #socket: Socket = createSocket("udp4");
  asked = 0;
  right = 0;
  wrong: string[] = [];

  constructor() {
    // A refused question is one without an answer.
    this.#socket.on("error", () => {});
  }

  async ask(times: number): Promise<void> {
    for (let n = 0; n < times; n++) {
      const id = ++this.asked;
      const answered = new Promise<Uint8Array>((resolve, reject) => {
        const timer = setTimeout(() => reject(new Error(`no answer to question ${id}`)), 10_000);
        this.#socket.once("message", (message) => {
          clearTimeout(timer);
          resolve(message);
        });
      });
      this.#socket.send(question(id), 8600, node.address);
      const reply = packets.decode(Buffer.from(await answered));
      const address = reply.answers?.[0]?.type === "A" ? reply.answers[0].data : "none";
      if (reply.id === id && address === "10.9.8.7") this.right++;
      else this.wrong.push(`${reply.id} ${address}`);
    }
  }

  close(): void {
    this.#socket.close();
  }
}

test("200 clients that close their sockets mid-answer harm nobody else's answer", async () => {
  const before = await node.counted("dnsd", /^dnsd_udp_queries_total /);
  const patients = Array.from({ length: 8 }, () => new Patient());
  const asking = patients.map((patient) => patient.ask(250));
  for (let n = 0; n < 200; n++) await askAndLeave();
  await Promise.all(asking);
  for (const patient of patients) patient.close();
  expect(patients.flatMap(({ wrong }) => wrong)).toEqual([]);
  expect(patients.map(({ right }) => right)).toEqual(patients.map(() => 250));
  await until("dnsd has seen every question", 10_000, async () => {
    return await node.counted("dnsd", /^dnsd_udp_queries_total /) === before + 8 * 250 + 200;
  });
  expect(await node.counted("dnsd", /^dnsd_unsent_total /)).toBe(0);
  const errors = await node.counted("dnsd", /^dnsd_send_errors_total /);
  console.log(`${errors} errors of earlier answers met dnsd`);
  // Else the clients were not gone, and nothing was proved.
  expect(errors).toBeGreaterThan(0);
}, 90_000);
