// `?near=`: rows in order of their estimated round-trip time from a node (Serf's coordinates).

import type { Coordinate } from "#proto/messages.js";
import { byBytes } from "./json-writer.ts";

/** Seconds between two coordinates. */
export function distanceSeconds(a: Coordinate, b: Coordinate): number {
  if (a.vec.length !== b.vec.length) return Infinity;
  let sum = 0;
  for (let i = 0; i < a.vec.length; i++) sum += (a.vec[i]! - b.vec[i]!) ** 2;
  const raw = Math.sqrt(sum) + a.height + b.height;
  const adjusted = raw + a.adjustment + b.adjustment;
  return adjusted > 0 ? adjusted : raw;
}

/** The same rows, nearest first; those without a coordinate last; ties keep their order. Nothing
 *  changes when the source has no coordinate. */
export function sortByDistance<Row>(
  rows: readonly Row[],
  nodeOf: (row: Row) => string,
  source: string,
  coordinates: readonly Coordinate[],
): Row[] {
  const byNode = new Map<string, Coordinate>();
  for (const coordinate of coordinates) {
    if (coordinate.segment === "") byNode.set(coordinate.node.toLowerCase(), coordinate);
  }
  const from = byNode.get(source.toLowerCase());
  if (from === undefined) return [...rows];
  const distances = new Map<Row, number>();
  for (const row of rows) {
    const to = byNode.get(nodeOf(row).toLowerCase());
    distances.set(row, to === undefined ? Infinity : distanceSeconds(from, to));
  }
  return [...rows].sort((a, b) => {
    const x = distances.get(a)!, y = distances.get(b)!;
    return x === y ? 0 : x - y;
  });
}

export interface WanServer {
  /** As the coordinates call it: without its datacenter. */
  node: string;
  datacenter: string;
}

/** The others' names, nearest first by the median of the way to their servers; without coordinates
 *  last; ties by name. */
export function byDistance(
  servers: readonly WanServer[],
  coordinates: readonly { datacenter: string; coordinate: Coordinate | null }[],
  from: WanServer,
): string[] {
  const known = new Map(
    coordinates.map((
      { datacenter, coordinate },
    ) => [`${coordinate?.node} ${datacenter}`, coordinate]),
  );
  const coordinateOf = ({ node, datacenter }: WanServer) => known.get(`${node} ${datacenter}`);
  const own = coordinateOf(from);
  const distances = new Map<string, number[]>();
  for (const server of servers) {
    if (server.datacenter === from.datacenter) continue;
    const other = coordinateOf(server);
    const distance = own && other ? distanceSeconds(own, other) : Infinity;
    distances.set(server.datacenter, [...distances.get(server.datacenter) ?? [], distance]);
  }
  const median = (of: number[]) => of.toSorted((a, b) => a === b ? 0 : a - b)[of.length >> 1]!;
  return [...distances].map(([name, of]) => ({ name, distance: median(of) }))
    .sort((a, b) => a.distance === b.distance ? byBytes(a.name, b.name) : a.distance - b.distance)
    .map(({ name }) => name);
}
