// Claims that only a bug or a broken disk can make false (spec: assertions that are always on).

/** Stops the server: going on with a broken invariant could lose what was acknowledged. */
export class InvariantError extends Error {
  override name = "InvariantError";
}

export function invariant(holds: boolean, claim: string, ...seen: unknown[]): asserts holds {
  if (!holds) throw new InvariantError(`raft: expected ${claim}; saw ${seen.join(", ")}`);
}
