// `<service>.virtual`: the address that the mesh gave the service. Whatever type is asked, it is an
// A record.

import type { Asking } from "../asking.ts";
import { parseIp } from "../ip.ts";
import type { Question } from "../message.ts";
import { empty, type Outcome, outcome, serverFailure } from "../outcome.ts";

export function answerVirtual(
  service: string,
  peer: string,
  question: Question,
  asking: Asking,
): Outcome {
  const got = asking.take(asking.view.virtualIp(service, peer));
  if (got === "wait" || "failed" in got) return serverFailure;
  const bytes = got.rows === undefined ? undefined : parseIp(got.rows);
  if (bytes?.length !== 4) return empty;
  const ttlSeconds = asking.settings.nodeTtlSeconds;
  return outcome({ answer: [{ kind: "A", owner: question.name, ttlSeconds, bytes }] });
}
