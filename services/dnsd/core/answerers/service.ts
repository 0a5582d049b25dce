// `<service>.service`, `.connect`, `.ingress`: the healthy instances of a service.

import type { Asking } from "../asking.ts";
import type { Question } from "../message.ts";
import { nameError, type Outcome, serverFailure } from "../outcome.ts";
import { serviceTtlSeconds } from "../settings.ts";
import type { CheckRow, Instance, Place } from "../view.ts";
import { instancesOutcome } from "./instances.ts";

export function answerService(
  service: string,
  tag: string,
  place: Place,
  question: Question,
  asking: Asking,
  cnames: number,
): Outcome {
  const got = asking.take(asking.view.instances(service, place));
  if (got === "wait") return serverFailure;
  if ("failed" in got) {
    const isHidden = got.failed === "no-path-to-datacenter" || got.failed === "permission-denied";
    return isHidden ? nameError : serverFailure;
  }
  const rows = tag === "" ? got.rows : got.rows.filter((row) => hasTag(row, tag));
  return healthyOutcome(rows, service, place, question, asking, cnames);
}

export function answerMesh(
  kind: "connect" | "ingress",
  service: string,
  place: Place,
  question: Question,
  asking: Asking,
  cnames: number,
): Outcome {
  const got = asking.take(
    kind === "connect"
      ? asking.view.connectInstances(service, place)
      : asking.view.ingressInstances(service, place),
  );
  if (got === "wait") return serverFailure;
  if ("failed" in got) return got.failed === "no-path-to-datacenter" ? nameError : serverFailure;
  return healthyOutcome(got.rows, service, place, question, asking, cnames);
}

function healthyOutcome(
  rows: Instance[],
  service: string,
  place: Place,
  question: Question,
  asking: Asking,
  cnames: number,
): Outcome {
  const healthy = rows.filter((row) => isHealthy(row.checks, asking.settings.onlyPassing));
  if (healthy.length === 0) return nameError;
  const ttlSeconds = serviceTtlSeconds(asking.settings, service);
  return instancesOutcome(healthy, place, ttlSeconds, question, asking, cnames);
}

/** A single critical check, of the node or of the instance, hides it. */
export function isHealthy(checks: CheckRow[], onlyPassing: boolean): boolean {
  return checks.every(({ status }) => onlyPassing ? status === "passing" : status !== "critical");
}

function hasTag(instance: Instance, tag: string): boolean {
  return instance.service.tags.some((own) => own.toLowerCase() === tag);
}
