// The recorded cases against dnsd's core over a catalog in memory: fast, no sockets.

import { describe, expect, test } from "bun:test";
import { Random } from "#shared/random.ts";
import { type Fetched, needKey } from "../../services/dnsd/core/catalog-view.ts";
import { type Arrival, Responder } from "../../services/dnsd/core/responder.ts";
import type { Need } from "../../services/dnsd/core/view.ts";
import cases from "./fixtures/dns/cases.json";
import configs from "./fixtures/dns/configs.json";
import setup from "./fixtures/dns/setup.json";
import {
  type RecordedCatalog,
  recordedCatalog,
  recordedSettings,
  serverPort,
  type SetupRequest,
  type Variant,
} from "./dns-catalog.ts";
import { checkCase, type DnsCase } from "./dns-compare.ts";
import { buildQuery, type CaseQuery, type ParsedReply, parseReply } from "./dns-message.ts";

/** Those with recursors need sockets (dns-recursors.test.ts); acl_deny needs the ACL system. */
const elsewhere = new Set(["recursor", "recursors_two", "recursor_dead", "acl_deny"]);
const variants = Object.entries(configs.variants as unknown as Record<string, Variant>)
  .filter(([name]) => !elsewhere.has(name));
const wallSeconds = 1_700_000_000;

for (const [name, variant] of variants) {
  describe(`DNS variant ${name}`, () => {
    const recorded = recordedCatalog(setup as SetupRequest[], name);
    const responder = new Responder(
      recordedSettings(variant.config),
      recorded.catalogs.get("dc1")!,
      { complete: true, silentMs: 0, knownLeader: true, lastContactMs: 0 },
      new Random(20231122),
    );
    const own = (cases as unknown as DnsCase[]).filter(({ config }) => config === name);
    test(`has cases`, () => expect(own.length).toBeGreaterThan(0));
    for (const one of own) {
      test(one.name, async () => {
        const text = JSON.stringify(one).replaceAll("${server_port}", String(serverPort))
          .replace(/\$\{query:([^}]+)\}/g, (_, query) => recorded.queryIds.get(query) ?? "missing");
        const ready = JSON.parse(text) as DnsCase;
        // Three times: the second makes a template, the third is answered from it.
        for (let round = 0; round < 3; round++) {
          const problem = await checkCase(ready, (query) => ask(responder, recorded, query));
          expect(problem).toBeUndefined();
        }
      });
    }
  });
}

async function ask(
  responder: Responder,
  recorded: RecordedCatalog,
  query: CaseQuery,
): Promise<ParsedReply | undefined> {
  const message = buildQuery(query, 4711);
  const arrival: Arrival = {
    transport: query.transport ?? "udp",
    clientAddress: "127.0.0.1",
    wallSeconds,
  };
  const known = responder.answerKnown(message, arrival);
  if (known > 0) return parseReply(Buffer.from(responder.out.subarray(0, known)), wallSeconds);
  const fetched = new Map<string, Fetched>();
  for (let round = 0; round < 5; round++) {
    const handled = responder.handle(message, arrival, fetched);
    switch (handled.kind) {
      case "reply": {
        const bytes = Buffer.from(responder.out.subarray(0, handled.bytes));
        return parseReply(bytes, wallSeconds);
      }
      case "drop":
        return undefined;
      case "wait":
        for (const need of handled.needs) fetched.set(needKey(need), fetch(recorded, need));
        break;
      case "forward":
        throw new Error(`the question for ${query.name} was to be forwarded`);
    }
  }
  throw new Error("the answer never had enough");
}

function fetch(recorded: RecordedCatalog, need: Need): Fetched {
  const failed: Fetched = { kind: "failed", code: "no-path-to-datacenter" };
  if (need.kind === "upstream") return { kind: "failed", code: "unavailable" };
  if (need.kind === "prepared-query") return failed;
  const catalog = recorded.catalogs.get(need.place.datacenter);
  if (catalog === undefined) return failed;
  if (need.kind === "node") return { kind: "node", node: catalog.node("", need.node) };
  const instances = need.connect
    ? catalog.connectInstances("", need.service)
    : catalog.instances("", need.service);
  return { kind: "instances", instances };
}
