// gossipd as other daemons call it (proto/gossipd.proto).
import type { MemberInput } from "#proto/messages.js";
import { Gossip } from "#proto/services.ts";
import type { Handlers, OutStream } from "#shared/bus/types.ts";
import { CuriaError } from "#shared/errors.ts";
import { formatAddress } from "./core/address.ts";
import type { KeyOperation, KeysOutcome, Member, MemberChange } from "./core/border.ts";
import type { ConsulEvent } from "./core/consul/user-event.ts";
import type { Coordinate } from "./core/serf/coordinate.ts";
import { parseKey } from "./core/keyring.ts";
import type { CheckerWatch } from "./io/checker-watch.ts";
import type { MemberPool } from "./io/member-pool.ts";
import type { Pools } from "./io/pools.ts";
import type { UserEvents } from "./io/user-events.ts";

export interface GossipNode {
  pools: Pools;
  events: UserEvents;
  checker: CheckerWatch;
  datacenter: string;
  nodeName: string;
}

const bookmarkMs = 1_000;
/** A watcher that lets so much pile up is cut off; it comes back for a whole view. */
const queuedBytesMax = 16 * 1024 * 1024;

const statusNumbers = { alive: 1, leaving: 2, left: 3, failed: 4 } as const;
const changeKinds: Record<MemberChange, string> = {
  joined: "join",
  left: "leave",
  failed: "failed",
  updated: "update",
  reaped: "reap",
};

export function gossipHandlers(node: GossipNode): Handlers<typeof Gossip> {
  const { pools, events } = node;
  return {
    members: ({ wan }) => {
      const pool = poolOf(pools, wan);
      return {
        members: pool.members().map(memberMessage),
        localName: wan ? `${node.nodeName}.${node.datacenter}` : node.nodeName,
        encrypted: pool.loop.isEncrypted,
      };
    },
    watchMembers: ({ wan }, _call, stream) => watchMembers(poolOf(pools, wan), stream),
    join: async ({ addresses, wan, replay }) => await poolOf(pools, wan).join(addresses, replay),
    leave: async () => {
      await pools.leave();
      return {};
    },
    forceLeave: ({ node: name, prune, wan }) => forceLeave(node, name, prune, wan),
    fireEvent: (request) => eventMessage(events.fire(request)),
    listEvents: ({ name }) => ({ events: events.list(name).map(eventMessage) }),
    watchEvents: ({ name }, _call, stream) => {
      const stop = events.watch((event) => {
        if (name === "" || event.name === name) write(stream, eventMessage(event));
      });
      stream.onClose(stop);
    },
    keyring: async (request) => await operateKeyring(node, request),
    coordinates: ({ wan }) => ({ coordinates: coordinates(node, wan) }),
    setTags: ({ tags }) => {
      pools.changeTags(tags);
      return {};
    },
    checkerAlive: (items, call) => {
      const { checker } = node;
      checker.opened();
      items.onItem = () => checker.beat();
      return new Promise((resolve) => {
        const done = () => {
          checker.closed();
          resolve({});
        };
        items.onEnd = done;
        items.onError = done;
        call.onCancel(() => {});
      });
    },
  };
}

function poolOf(pools: Pools, wan: boolean): MemberPool {
  if (!wan) return pools.lan;
  if (pools.wan) return pools.wan;
  throw new CuriaError("failed-precondition", "Must be a server with WAN gossip enabled");
}

function watchMembers(pool: MemberPool, stream: OutStream<{ kind: string; member?: MemberInput }>) {
  for (const member of pool.members()) {
    stream.write({ kind: "view", member: memberMessage(member) });
  }
  stream.write({ kind: "view-complete" });
  const stop = pool.onMember((change, member) => {
    write(stream, { kind: changeKinds[change], member: memberMessage(member) });
  });
  const timer = setInterval(() => write(stream, { kind: "bookmark" }), bookmarkMs);
  stream.onClose(() => {
    clearInterval(timer);
    stop();
  });
}

function write<Item>(stream: OutStream<Item>, item: Item): void {
  if (stream.queuedBytes > queuedBytesMax) {
    stream.fail(new CuriaError("overloaded", "the watcher reads too slowly"));
  } else stream.write(item);
}

function memberMessage(member: Member): MemberInput {
  const [protocolMin, protocolMax, protocolCur, delegateMin, delegateMax, delegateCur] =
    member.versions;
  return {
    name: member.name,
    address: formatAddress(member.address),
    port: member.port,
    tags: Object.fromEntries(member.tags),
    status: statusNumbers[member.status],
    protocolMin: protocolMin ?? 0,
    protocolMax: protocolMax ?? 0,
    protocolCur: protocolCur ?? 0,
    delegateMin: delegateMin ?? 0,
    delegateMax: delegateMax ?? 0,
    delegateCur: delegateCur ?? 0,
  };
}

/** A name that no pool knows is an error; in the WAN pool names end with the datacenter. */
function forceLeave(node: GossipNode, name: string, prune: boolean, wan: boolean) {
  const pool = poolOf(node.pools, wan);
  if (!pool.members().some((member) => member.name === name)) {
    throw new CuriaError("not-found", `agent: No node found with name '${name}'`);
  }
  pool.forceLeave(name, prune);
  const wanName = `${name}.${node.datacenter}`;
  const inWan = node.pools.wan?.members().some((member) => member.name === wanName);
  if (!wan && inWan) node.pools.wan!.forceLeave(wanName, prune);
  return {};
}

function eventMessage(event: ConsulEvent) {
  const { lTime, ...rest } = event;
  return { ...rest, ltime: lTime };
}

function coordinates(node: GossipNode, wan: boolean) {
  const pool = poolOf(node.pools, wan);
  const { machine } = pool.loop;
  const area = wan ? "wan" : "";
  const ownName = wan ? `${node.nodeName}.${node.datacenter}` : node.nodeName;
  const row = (member: Member, coordinate: Coordinate) => {
    const datacenter = member.tags.get("dc") ?? node.datacenter;
    const suffix = `.${datacenter}`;
    const name = wan && member.name.endsWith(suffix)
      ? member.name.slice(0, -suffix.length)
      : member.name;
    return { datacenter, area, coordinate: { node: name, segment: "", ...coordinate } };
  };
  return pool.members().flatMap((member) => {
    const coordinate = member.name === ownName
      ? machine.coordinate
      : machine.coordinateOf(member.name);
    return coordinate ? [row(member, coordinate)] : [];
  });
}

interface KeyringOrder {
  operation: string;
  key: string;
  relayFactor: number;
  localOnly: boolean;
}

const operations: readonly KeyOperation[] = ["list", "install", "use", "remove"];

async function operateKeyring(node: GossipNode, order: KeyringOrder) {
  const operation = operations.find((one) => one === order.operation);
  if (!operation) {
    throw new CuriaError("invalid-argument", `unknown keyring operation "${order.operation}"`);
  }
  const key = operation === "list" ? undefined : parseKey(order.key);
  if (typeof key === "string") throw new CuriaError("invalid-argument", key);
  const wanted = [
    [false, node.pools.lan],
    [true, order.localOnly ? undefined : node.pools.wan],
  ] as const;
  const replies = wanted.flatMap(([wan, pool]) =>
    pool
      ? [pool.keys(operation, key, order.relayFactor).then((out) => poolReply(node, wan, out))]
      : []
  );
  return { pools: await Promise.all(replies) };
}

function poolReply(node: GossipNode, wan: boolean, outcome: KeysOutcome) {
  return {
    wan,
    datacenter: node.datacenter,
    segment: "",
    messages: Object.fromEntries(outcome.messages),
    keys: Object.fromEntries(outcome.keys),
    primaryKeys: Object.fromEntries(outcome.primaryKeys),
    numNodes: outcome.nodesCount,
    error: keysError(outcome),
  };
}

/** Serf's words. */
function keysError({ nodesCount, answersCount, errorsCount }: KeysOutcome): string {
  if (errorsCount > 0) return `${errorsCount}/${nodesCount} nodes reported failure`;
  if (answersCount !== nodesCount) return `${answersCount}/${nodesCount} nodes reported success`;
  return "";
}
