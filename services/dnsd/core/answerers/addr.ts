// `<hex>.addr`: the name says the address itself.

import type { Asking } from "../asking.ts";
import { parseAddrLabel } from "../ip.ts";
import type { Question } from "../message.ts";
import { nameError, type Outcome, outcome } from "../outcome.ts";
import { type AddressRecord, typeCodes } from "../records/records.ts";

export function answerAddr(label: string, question: Question, asking: Asking): Outcome {
  const bytes = parseAddrLabel(label);
  if (bytes === undefined) return nameError;
  const kind = bytes.length === 4 ? "A" : "AAAA";
  const record: AddressRecord = {
    kind,
    owner: label + question.name.slice(label.length),
    ttlSeconds: asking.settings.nodeTtlSeconds,
    bytes,
  };
  const isAsked = question.type === typeCodes[kind] || question.type === typeCodes.ANY;
  return outcome(isAsked ? { answer: [record] } : { additional: [record] });
}
