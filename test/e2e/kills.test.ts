// Each daemon in turn is killed under load and comes back under its supervisor: no acknowledged
// write is lost and none is applied twice, and the others do not notice.

import { afterAll, beforeAll, expect, test } from "bun:test";
import { Load } from "./load.ts";
import { dig, loopbackNet, TestNode, until } from "./node.ts";

const net = loopbackNet();
const addresses = [net(1), net(2), net(3)];
const servers = addresses.map((address, n) =>
  new TestNode({ name: `server-${n + 1}`, address, bootstrapExpect: 3, retryJoin: addresses })
);

beforeAll(async () => {
  for (const node of servers) node.start();
  await Promise.all(servers.map((node) => node.ready()));
}, 60_000);

afterAll(() => Promise.all(servers.map((node) => node.remove())), 60_000);

for (const daemon of ["checkd", "gossipd", "relayd", "cad", "apid", "raftd", "dnsd"]) {
  test(`${daemon} killed under load loses nothing`, async () => {
    const victim = servers[1]!;
    const load = new Load(servers, 12);
    await load.more(50);
    await victim.kill(daemon);
    await load.more(50);
    await load.stop();
    await load.expectAll(servers[0]!);
    await load.expectAll(victim);
  }, 60_000);
}

test("DNS goes on while the daemons beside it are killed", async () => {
  const [node] = servers;
  await node!.put("/v1/agent/service/register", { Name: "dns-load", Address: "10.1.1.1" });
  const answers = async () => (await dig(node!.address, "dns-load.service.consul")).length;
  await until("the service is in DNS", 10_000, async () => (await answers()) === 1);
  for (const daemon of ["raftd", "apid", "checkd", "gossipd"]) {
    let isBack = false;
    const killed = node!.kill(daemon).finally(() => isBack = true);
    while (!isBack) expect([daemon, await answers()]).toEqual([daemon, 1]);
    await killed;
  }
}, 60_000);

test("the leader node killed whole: writes go on, and it comes back", async () => {
  const leaderAddress = (await servers[0]!.json<string>("/v1/status/leader")).split(":")[0];
  const leader = servers.find(({ address }) => address === leaderAddress)!;
  const others = servers.filter((node) => node !== leader);
  const load = new Load(others, 8);
  await load.more(50);
  load.gapMs = 0;
  await leader.killAll();
  await load.more(100);
  console.log(
    `leader killed: longest gap between acknowledged writes ${Math.round(load.gapMs)} ms`,
  );
  leader.start();
  await leader.ready();
  await load.stop();
  for (const node of servers) await load.expectAll(node);
}, 90_000);
