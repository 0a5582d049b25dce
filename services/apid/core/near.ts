// `?near=`: rows in order of their estimated round-trip time from a node (Serf's coordinates).

import type { Coordinate } from "#proto/messages.js";

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
