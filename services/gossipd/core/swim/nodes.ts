// The list of known nodes: order, random choice, counts.
import type { Endpoint } from "../border.ts";
import type { Node, Pool } from "../state.ts";

export function self(pool: Pool): Node | undefined {
  return pool.byName.get(pool.settings.name);
}

export function ownEndpoint(pool: Pool): Endpoint {
  return { address: pool.settings.address, port: pool.settings.port };
}

/** New nodes enter at a random place, so that not all nodes probe them at the same time. */
export function insertNode(pool: Pool, node: Node): void {
  pool.byName.set(node.name, node);
  pool.nodes.push(node);
  const other = pool.random.below(pool.nodes.length);
  const last = pool.nodes.length - 1;
  [pool.nodes[other], pool.nodes[last]] = [pool.nodes[last]!, pool.nodes[other]!];
}

/** Up to `wanted` different nodes, tried at random places as memberlist does. */
export function randomNodes(pool: Pool, wanted: number, fits: (node: Node) => boolean): Node[] {
  const chosen: Node[] = [];
  const { nodes } = pool;
  for (let tries = 3 * nodes.length; tries > 0 && chosen.length < wanted; tries--) {
    const node = nodes[pool.random.below(nodes.length)]!;
    if (fits(node) && !chosen.includes(node)) chosen.push(node);
  }
  return chosen;
}

export function isGone(node: Node): boolean {
  return node.state === "dead" || node.state === "left";
}

export function hasOtherAlive(pool: Pool): boolean {
  return pool.nodes.some((node) => !isGone(node) && node.name !== pool.settings.name);
}

/** The end of a probing round: the long dead are forgotten, the order is drawn again. */
export function reshuffle(pool: Pool): void {
  const { gossipToTheDeadMs } = pool.settings;
  const isStale = (node: Node) => isGone(node) && pool.nowMs - node.changedMs > gossipToTheDeadMs;
  for (const node of pool.nodes) if (isStale(node)) pool.byName.delete(node.name);
  pool.nodes = pool.random.shuffle(pool.nodes.filter((node) => !isStale(node)));
  pool.probeAt = 0;
}

/** memberlist checks CRCs from protocol 5 on. */
export function takesCrc(node: Node | undefined): boolean {
  return node !== undefined && node.versions[1]! >= 5;
}
