// Draws the order of a draft's instances: uniform, so that clients spread over them.

import type { Random } from "#shared/random.ts";
import type { AnswerGroup } from "./message.ts";

interface Drawable {
  groups: AnswerGroup[];
  take: number | undefined;
  shuffled: boolean;
}

/** The groups to show, in order. */
export function drawGroups(draft: Drawable, random: Random): AnswerGroup[] {
  const groups = draft.groups.slice();
  if (draft.shuffled) random.shuffle(groups);
  return draft.take === undefined ? groups : groups.slice(0, draft.take);
}
