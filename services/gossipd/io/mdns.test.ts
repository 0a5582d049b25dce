// A responder of the test's own on the loopback interface answers what is asked by multicast.
import { afterEach, expect, test } from "bun:test";
import dnsPacket from "dns-packet";
import { createSocket, type Socket } from "node:dgram";
import { type MdnsQuestion, mdnsQuestion, parsePairs } from "../core/discovery.ts";
import { askMdns, ownInterfaces } from "./mdns.ts";
import { resolvePeers } from "./resolve.ts";

type Answer = NonNullable<dnsPacket.Packet["answers"]>[number];

const loopback = [{ family: "v4", from: "127.0.0.1" }] as const;
const service = `_curia-${crypto.randomUUID().slice(0, 8)}._tcp`;
const name = `${service}.local`;
const question: MdnsQuestion = { name, timeoutMs: 400, v4: true, v6: true };
const open: Socket[] = [];

afterEach(() => open.splice(0).forEach((socket) => socket.close()));

/** Answers each question by what `records` has for it. */
async function respond(
  records: readonly Answer[],
  alsoAll = false,
  from = "127.0.0.1",
): Promise<string[]> {
  const asked: string[] = [];
  const socket = createSocket({ type: "udp4", reuseAddr: true });
  open.push(socket);
  socket.on("message", (packet, asker) => {
    const { questions = [] } = dnsPacket.decode(packet);
    const ours = questions.filter((one) => records.some((record) => record.name === one.name));
    asked.push(...ours.map((one) => `${one.type} ${one.name}`));
    const answers = records.filter((record) =>
      ours.some((one) => alsoAll || (one.name === record.name && one.type === record.type))
    );
    if (answers.length === 0) return;
    socket.send(Buffer.from([1, 2, 3]), asker.port, asker.address);
    socket.send(dnsPacket.encode({ type: "response", id: 0, answers }), asker.port, asker.address);
  });
  await new Promise<void>((resolve) => socket.bind(5353, "0.0.0.0", resolve));
  socket.addMembership("224.0.0.251", from);
  return asked;
}

const ptr = (instance: string): Answer => ({ type: "PTR", name, data: `${instance}.${name}` });
const srv = (instance: string, target: string, port: number): Answer => ({
  type: "SRV",
  name: `${instance}.${name}`,
  data: { target, port },
});

test("instances are found when all comes in one answer", async () => {
  await respond([
    ptr("one"),
    srv("one", "a.local", 8301),
    { type: "A", name: "a.local", data: "10.0.0.1" },
    ptr("two"),
    srv("two", "b.local", 9301),
    { type: "A", name: "b.local", data: "10.0.0.2" },
    { type: "AAAA", name: "b.local", data: "fd00::2" },
  ], true);
  const found = [{ host: "10.0.0.1", port: 8301 }, { host: "fd00::2", port: 9301 }];
  expect(await askMdns(question, loopback)).toEqual(found);
  const onlyV4 = await askMdns({ ...question, v6: false }, loopback);
  expect(onlyV4[1]).toEqual({ host: "10.0.0.2", port: 9301 });
});

test("what an answer leaves out is asked for", async () => {
  const asked = await respond([
    ptr("one"),
    srv("one", "c.local", 8301),
    { type: "A", name: "c.local", data: "10.0.0.3" },
  ]);
  expect(await askMdns(question, loopback)).toEqual([{ host: "10.0.0.3", port: 8301 }]);
  expect(asked).toContain(`SRV one.${name}`);
  expect(asked).toContain("A c.local");
});

test("nobody answers: nothing is found, in the time given", async () => {
  const startMs = performance.now();
  expect(await askMdns({ ...question, timeoutMs: 150 }, loopback)).toEqual([]);
  expect(performance.now() - startMs).toBeLessThan(2_000);
});

test("retry_join finds what a responder on this machine's network announces", async () => {
  const link = ownInterfaces().find(({ family }) => family === "v4")!;
  await respond(
    [
      ptr("one"),
      srv("one", "a.local", 9301),
      { type: "A", name: "a.local", data: "10.0.0.7" },
    ],
    true,
    link.from,
  );
  const found = await resolvePeers([`provider=mdns service=${service} timeout=400ms`], 8301);
  expect(found).toEqual({
    peers: [{ address: Uint8Array.of(10, 0, 0, 7), port: 9301 }],
    errors: [],
  });
  const { errors } = await resolvePeers(["provider=mdns"], 8301);
  expect(errors).toEqual([expect.stringContaining("needs service=")]);
});

test("the form in retry_join", () => {
  const read = (text: string) =>
    mdnsQuestion(
      parsePairs(text)!,
      (duration) => /^\d+s$/.test(duration) ? Number.parseInt(duration) * 1_000 : undefined,
    );
  expect(read("provider=mdns service=_consul._tcp")).toEqual({
    name: "_consul._tcp.local",
    timeoutMs: 5_000,
    v4: true,
    v6: true,
  });
  expect(read('provider=mdns service=_A._tcp domain="lab.example." timeout=2s v6=false')).toEqual({
    name: "_a._tcp.lab.example",
    timeoutMs: 2_000,
    v4: true,
    v6: false,
  });
  expect(read("provider=mdns")).toContain("needs service=");
  expect(read("provider=mdns service=x timeout=soon")).toContain('found "soon"');
  expect(read("provider=mdns service=x v4=maybe")).toContain('found "maybe"');
  expect(read("provider=mdns service=x v4=false v6=false")).toContain("one of v4 and v6");
  expect(parsePairs("provider=mdns service")).toBeUndefined();
});
