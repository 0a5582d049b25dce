// `<query>.query`: what a prepared query selects, with its own rule on health and its own TTL.

import type { Asking } from "../asking.ts";
import type { Question } from "../message.ts";
import { nameError, type Outcome, serverFailure } from "../outcome.ts";
import { serviceTtlSeconds } from "../settings.ts";
import { instancesOutcome } from "./instances.ts";

export function answerPreparedQuery(
  query: string,
  datacenter: string,
  question: Question,
  asking: Asking,
  cnames: number,
): Outcome {
  const got = asking.take(asking.view.preparedQuery(query, datacenter, asking.origin));
  if (got === "wait") return serverFailure;
  if ("failed" in got) {
    const isHidden = got.failed === "no-path-to-datacenter" || got.failed === "permission-denied";
    return isHidden ? nameError : serverFailure;
  }
  const result = got.rows;
  if (result === undefined || result.instances.length === 0) return nameError;
  const ttlSeconds = result.ttlSeconds ??
    serviceTtlSeconds(asking.settings, result.service.toLowerCase());
  const place = { datacenter: result.datacenter, peer: "" };
  const said = instancesOutcome(result.instances, place, ttlSeconds, question, asking, cnames);
  return { ...said, shuffled: !result.isSorted, scoped: true };
}
