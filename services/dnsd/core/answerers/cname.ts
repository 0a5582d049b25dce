// What follows a CNAME: a name of ours is looked up as ANY, another one at a recursor.

import type { Asking } from "../asking.ts";
import { isWithin } from "../domain-name.ts";
import type { Question } from "../message.ts";
import { type ResourceRecord, typeCodes } from "../records/records.ts";
import { drawGroups } from "../shuffle.ts";

/** A chain shows so many CNAMEs and then ends without error, so one that bites its tail ends too. */
const cnamesMax = 3;

/** `cnames`: how many CNAMEs the reply shows up to here. */
export function followCname(target: string, asking: Asking, cnames: number): ResourceRecord[] {
  const { domain, altDomain, hasRecursors } = asking.settings;
  const lower = target.toLowerCase();
  if (isWithin(lower, domain) || (altDomain !== "" && isWithin(lower, altDomain))) {
    if (cnames >= cnamesMax) return [];
    const question: Question = { name: target, type: typeCodes.ANY, class: 1 };
    const said = asking.answerName(question, asking, cnames);
    if (said.groups.length > 1 && said.shuffled) asking.drew = true;
    const drawn = drawGroups(said, asking.random);
    return [...said.answer, ...drawn.flatMap((group) => group.answer)];
  }
  if (!hasRecursors) return [];
  // No recursor answered: the CNAME stands alone.
  const got = asking.take(asking.view.upstream(target));
  return got !== "wait" && "rows" in got ? got.rows : [];
}
