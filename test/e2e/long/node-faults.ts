// What the nemesis does to nodes: one fault at a time, over when its promise settles.

import type { TestNode } from "../node.ts";
import type { Disk } from "./disk.ts";
import type { Net } from "./net.ts";

export interface Stage {
  readonly nodes: readonly TestNode[];
  readonly disks: readonly Disk[];
  readonly net: Net;
}

type Fault = (stage: Stage, n: number) => Promise<void>;

export const any = (max: number) => Math.floor(Math.random() * max);
export const seconds = (from: number, to: number) =>
  Bun.sleep((from + Math.random() * (to - from)) * 1_000);

async function raftdPid(node: TestNode): Promise<number | undefined> {
  return (await node.status("raftd"))?.pid;
}

/** Cuts what node n sends, and with `both` also what it is sent. */
async function cutOff({ net, nodes }: Stage, n: number, both: boolean): Promise<void> {
  for (const other of nodes.keys()) {
    if (other === n) continue;
    net.cut(n + 1, other + 1);
    if (both) net.cut(other + 1, n + 1);
  }
  await seconds(1, 5);
  net.heal();
}

/** All that the nodes did not sync is gone. */
async function losePower({ nodes, disks }: Stage, victims: readonly number[]): Promise<void> {
  await Promise.all(victims.map((n) => nodes[n]!.killAll()));
  for (const n of victims) disks[n]!.shutDown();
  await Promise.all(victims.map((n) => disks[n]!.powerUp()));
  for (const n of victims) nodes[n]!.start();
}

export const faults: Readonly<Record<string, Fault>> = {
  async "kill raftd"({ nodes }, n) {
    const pid = await raftdPid(nodes[n]!);
    if (pid !== undefined) process.kill(pid, "SIGKILL");
    await seconds(0.5, 2);
  },
  async "kill node"({ nodes }, n) {
    await nodes[n]!.killAll();
    await seconds(0.5, 3);
    nodes[n]!.start();
  },
  async "pause raftd"({ nodes }, n) {
    const pid = await raftdPid(nodes[n]!);
    if (pid === undefined) return;
    process.kill(pid, "SIGSTOP");
    await seconds(0.2, 4);
    process.kill(pid, "SIGCONT");
  },
  "cut off": (stage, n) => cutOff(stage, n, true),
  "cut one way": (stage, n) => cutOff(stage, n, false),
  async "cut one link"({ net, nodes }, n) {
    const other = (n + 1) % nodes.length;
    net.cut(n + 1, other + 1);
    net.cut(other + 1, n + 1);
    await seconds(1, 5);
    net.heal();
  },
  "power loss": (stage, n) => losePower(stage, [n]),
  /** Something is to be written before the next one. */
  async "power loss everywhere"(stage) {
    await losePower(stage, [...stage.nodes.keys()]);
    await Promise.all(stage.nodes.map((node) => node.ready()));
    await seconds(0.5, 2);
  },
  /** Every write and sync fails while the node runs: it must acknowledge nothing. */
  async "disk fails"({ nodes, disks }, n) {
    disks[n]!.shutDown();
    await seconds(0.2, 2);
    await nodes[n]!.killAll();
    await disks[n]!.powerUp();
    nodes[n]!.start();
  },
  async "disk full"({ disks }, n) {
    // Below the reserve, or down to the last block.
    disks[n]!.fill(any(2) * 16);
    await seconds(1, 5);
    disks[n]!.clear();
  },
};
