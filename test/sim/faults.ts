// What goes wrong while clients work. A fault is drawn from the run's mix and thrown at the cluster.

import type { ConfigurationChange } from "../../services/raftd/core/raft/messages.ts";
import type { Cluster } from "./cluster.ts";
import type { FaultKind } from "./mix.ts";
import type { SimServer } from "./server.ts";
import { count } from "./world.ts";

const SERVERS_MAX = 7;

export function throwFaults(cluster: Cluster, untilMs: number): void {
  const { faults, faultEveryMs } = cluster.mix;
  strikeAtMoments(cluster, untilMs);
  if (faults.length === 0) return;
  const { queue, random } = cluster;
  const next = () => {
    if (queue.nowMs >= untilMs) return;
    const kind = random.pick(faults);
    if (throwFault(cluster, kind)) count(cluster.world, `fault ${kind}`);
    queue.after(random.between(0, 2 * faultEveryMs), next);
  };
  queue.after(random.between(0, 2 * faultEveryMs), next);
}

/** Hits servers when they have just won an election or given a vote. */
function strikeAtMoments(cluster: Cluster, untilMs: number): void {
  const { queue, random, mix, network } = cluster;
  cluster.onNotice = (what, id) => {
    if (what === "stands") {
      cluster.whenItStands.get(id)?.();
      cluster.whenItStands.delete(id);
      return;
    }
    const chance = what === "leads" ? mix.strikeChance : mix.voterCrashChance;
    if (queue.nowMs >= untilMs || !random.chance(chance)) return;
    const server = cluster.servers.get(id)!;
    queue.after(random.between(0, what === "leads" ? 40 : 10), () => {
      count(cluster.world, `fault struck when it ${what}`);
      if (what === "voted" || random.chance(0.4)) return crash(cluster, server, true);
      partition(cluster, "isolate", [...cluster.servers.keys()], id);
      queue.after(random.between(100, 1_000), () => network.heal());
    });
  };
}

/** True if there was something to hit. */
function throwFault(cluster: Cluster, kind: FaultKind): boolean {
  const { random, queue, network } = cluster;
  const up = cluster.up();
  const ids = [...cluster.servers.keys()];
  if (up.length === 0) return false;
  const victim = random.chance(0.4) ? cluster.leader() ?? random.pick(up) : random.pick(up);
  switch (kind) {
    case "crash":
    case "power-loss":
      crash(cluster, victim, kind === "power-loss");
      return true;
    case "crash-some":
      for (const server of up) if (random.chance(0.6)) crash(cluster, server, true);
      return true;
    case "crash-all":
      for (const server of up) crash(cluster, server, random.chance(0.5));
      return true;
    case "pause":
      victim.pause(random.pick([60, 150, 400, 2_000]));
      return true;
    case "split":
    case "isolate":
    case "one-way":
    case "bridge":
    case "cut-pair":
      partition(cluster, kind, ids, victim.id);
      queue.after(random.between(100, random.pick([600, 5_000])), () => network.heal());
      return true;
    case "squeeze":
      return squeeze(cluster);
    case "heal":
      network.heal();
      return true;
    case "clock-jump":
      victim.clock.jump(random.between(-5_000, 5_000));
      return true;
    case "disk-stall":
      victim.stallDisk(random.pick([100, 400, 2_000, 7_000]));
      return true;
    case "disk-error":
      victim.failDisk();
      restartLater(cluster, victim);
      return true;
    case "disk-full":
      victim.input({ kind: "disk-full-changed", isFull: true });
      queue.after(random.between(50, 3_000), () => {
        victim.input({ kind: "disk-full-changed", isFull: false });
      });
      return true;
    case "bit-flip":
      return flipBit(cluster, victim);
    case "transfer": {
      const to = random.chance(0.5) ? random.pick(ids) : undefined;
      victim.input({ kind: "transfer-requested", id: cluster.nextChange(), to });
      return true;
    }
    case "member-change": {
      const times = 1 + random.below(3);
      let isDone = false;
      for (let i = 0; i < times; i++) isDone = changeMembers(cluster) || isDone;
      return isDone;
    }
    case "unreachable":
      victim.input({ kind: "peer-unreachable", peer: random.pick(ids) });
      return true;
    default:
      return kind satisfies never;
  }
}

function crash(cluster: Cluster, server: SimServer, isPowerLoss: boolean): void {
  server.crash(isPowerLoss);
  restartLater(cluster, server);
}

function restartLater(cluster: Cluster, server: SimServer): void {
  const { random, queue } = cluster;
  queue.after(random.pick(cluster.mix.restartsMs) + random.between(0, 20), () => {
    if (cluster.servers.get(server.id) === server) server.start();
  });
}

function partition(cluster: Cluster, kind: FaultKind, ids: string[], victim: string): void {
  const { random, network } = cluster;
  // Sometimes on top of what is cut already.
  if (random.chance(0.6)) network.heal();
  const others = random.shuffle([...ids]);
  const pair = [victim, others.find((id) => id !== victim)];
  const half = new Set(others.slice(0, Math.floor(ids.length / 2)));
  for (const from of ids) {
    for (const to of ids) {
      if (from === to) continue;
      const isCut = kind === "split"
        ? half.has(from) !== half.has(to)
        : kind === "isolate"
        ? from === victim || to === victim
        : kind === "one-way"
        ? from === victim && random.chance(0.7)
        : kind === "cut-pair"
        ? pair.includes(from) && pair.includes(to)
        : half.has(from) !== half.has(to) && from !== victim && to !== victim;
      if (isCut) network.block(from, to);
    }
  }
}

/** A leader that one server cannot hear, and that then hears nobody: whoever helps the first to
 *  become leader makes the old one's lease a lie. */
function squeeze(cluster: Cluster): boolean {
  const { random, network, queue } = cluster;
  const leader = cluster.leader();
  const others = cluster.up().filter((server) => server !== leader);
  if (!leader || others.length < 2) return false;
  const [candidate, ...voters] = random.shuffle(others);
  network.block(leader.id, candidate!.id);
  network.block(candidate!.id, leader.id);
  cluster.whenItStands.set(candidate!.id, () => {
    const isRestart = random.chance(0.5);
    for (const voter of voters) {
      network.block(voter.id, leader.id);
      if (!isRestart || !voter.isUp) continue;
      // Not within this step, whose effects are still to be carried out.
      queue.after(0, () => {
        voter.crash(true);
        voter.start();
      });
    }
  });
  queue.after(500, () => {
    cluster.whenItStands.delete(candidate!.id);
    network.heal();
  });
  return true;
}

/** A damaged log is found at the next start. One at a time, and only of entries that a majority
 *  has, among voters enough: what nobody else has could keep them from electing for ever. */
function flipBit(cluster: Cluster, victim: SimServer): boolean {
  const { random } = cluster;
  if ([...cluster.servers.values()].some((s) => s.disk.promised)) return false;
  const status = cluster.leader()?.status();
  if (!status || status.committedConfigurationIndex !== status.configuration.index) return false;
  const voters = status.configuration.servers.filter((s) => s.suffrage === "voter");
  if (voters.length < 3 || victim.disk.lastIndex > status.commitIndex) return false;
  victim.crash(random.chance(0.5));
  const isHit = victim.disk.lastIndex <= status.commitIndex &&
    victim.disk.damage(random, victim.state.kv.index);
  restartLater(cluster, victim);
  return isHit;
}

function changeMembers(cluster: Cluster): boolean {
  const { random } = cluster;
  const leader = cluster.leader();
  if (!leader || [...cluster.servers.values()].some((s) => s.disk.promised)) return false;
  const { servers } = leader.status()!.configuration;
  const voters = servers.filter((s) => s.suffrage === "voter");
  const nonvoters = servers.filter((s) => s.suffrage === "nonvoter");
  const outsiders = [...cluster.servers.keys()].filter((id) => !servers.some((s) => s.id === id));
  const changes: ConfigurationChange[] = [];
  const address = (id: string) => `${id}:8300`;
  const newcomer = outsiders.length > 0 ? random.pick(outsiders) : undefined;
  if (newcomer) {
    changes.push({ kind: "add-nonvoter", id: newcomer, address: address(newcomer) });
    changes.push({ kind: "add-voter", id: newcomer, address: address(newcomer) });
  } else if (servers.length < SERVERS_MAX) {
    const { id } = cluster.addServer();
    changes.push({ kind: "add-nonvoter", id, address: address(id) });
  }
  for (const { id } of nonvoters) changes.push({ kind: "promote", id });
  if (voters.length > 1) {
    changes.push({ kind: "remove", id: random.pick(servers).id });
    changes.push({ kind: "demote", id: random.pick(voters).id });
  }
  if (changes.length === 0) return false;
  const change = random.pick(changes);
  cluster.world.trace?.(`asks ${leader.id} to ${change.kind} ${change.id}`);
  leader.input({ kind: "configuration-change-proposed", id: cluster.nextChange(), change });
  return true;
}
