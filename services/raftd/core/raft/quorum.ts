// What a majority of the voters has reached: votes, match indexes, lease ends, rounds.

/** The largest value that a majority has reached. Sorts `values` in place. */
export function majorityValue(values: number[]): number {
  if (values.length === 0) return 0;
  if (values.length > 1) values.sort((a, b) => b - a);
  return values[values.length >> 1]!;
}

export type Outcome = "won" | "lost" | "open";

/** How a vote stands: `votes` holds the answers so far, also of servers that do not count. */
export function countVotes(
  voters: readonly string[],
  votes: ReadonlyMap<string, boolean>,
): Outcome {
  let granted = 0, refused = 0;
  for (const id of voters) {
    const vote = votes.get(id);
    if (vote === true) granted++;
    if (vote === false) refused++;
  }
  const needed = (voters.length >> 1) + 1;
  if (granted >= needed) return "won";
  return refused > voters.length - needed ? "lost" : "open";
}
