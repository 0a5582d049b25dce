// The body of session/create (spec: http-api 5.9).

import type { SessionInput } from "#proto/messages.js";
import { DurationError, parseDuration } from "#shared/consul/duration.ts";
import { any, decode, DecodeError, type Fields, list, object, text } from "../json-schema.ts";
import { JsonNumber, type JsonValue } from "../json-reader.ts";

const schema = object("Session", {
  fields: {
    Datacenter: text,
    Node: text,
    Name: text,
    LockDelay: any,
    Behavior: text,
    TTL: text,
    NodeChecks: list(text),
    ServiceChecks: list(object("ServiceCheck", { fields: { ID: text, Namespace: text } })),
    Checks: list(text),
  },
  lenient: true,
});

const standardDelayNs = 15_000_000_000n;

/** The session to make, without its id. Throws DecodeError or JsonSyntaxError. */
export function sessionFromBody(body: string, node: string): SessionInput {
  const fields: Fields = body === "" ? {} : decode(body, schema);
  const checks = withDefaults(fields);
  return {
    node: (fields.Node ?? node) as string,
    name: (fields.Name ?? "") as string,
    lockDelayNs: lockDelay(fields.LockDelay as JsonValue | undefined).toString(),
    behavior: (fields.Behavior ?? "release") as string,
    ttl: (fields.TTL ?? "") as string,
    nodeChecks: checks.nodeChecks,
    hasNodeChecks: true,
    checks: checks.checks,
    serviceChecks: ((fields.ServiceChecks ?? []) as { ID?: string; Namespace?: string }[]).map(
      (check) => ({ id: check.ID ?? "", namespace: check.Namespace ?? "" }),
    ),
  };
}

/** Both lists stand for "serfHealth" unless given; an empty one empties the other's default. */
function withDefaults(fields: Fields): { nodeChecks: string[]; checks: string[] } {
  const nodeChecks = (fields.NodeChecks ?? ["serfHealth"]) as string[];
  const checks = (fields.Checks ?? ["serfHealth"]) as string[];
  if (checks.length === 0) return { nodeChecks: [], checks: [] };
  if (nodeChecks.length === 0) return { nodeChecks: [], checks: [] };
  return { nodeChecks, checks: fields.Checks === undefined ? [] : checks };
}

/** A number below 1000 means seconds, also one that was written as a duration. */
function lockDelay(value: JsonValue | undefined): bigint {
  if (value === undefined || value === null) return standardDelayNs;
  let ns: bigint;
  if (value instanceof JsonNumber) ns = BigInt(Math.trunc(Number(value.text)));
  else if (typeof value === "string") {
    try {
      ns = parseDuration(value);
    } catch (error) {
      if (error instanceof DurationError) throw new DecodeError(error.message);
      throw error;
    }
  } else {
    throw new DecodeError("json: cannot unmarshal into Go struct field Session.LockDelay");
  }
  return ns < 1000n ? BigInt.asIntN(64, ns * 1_000_000_000n) : ns;
}
