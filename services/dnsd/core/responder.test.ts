import { describe, expect, test } from "bun:test";
import { decode, type Packet } from "dns-packet";
import fc from "fast-check";
import { Random } from "#shared/random.ts";
import { Catalog } from "./catalog.ts";
import { type Arrival, Responder } from "./responder.ts";
import { defaultDnsSettings, type DnsSettings } from "./settings.ts";
import { checkRow, nodeRow, serviceRow } from "./test-rows.ts";
import type { Contact } from "./view.ts";
import { encodeQuestion } from "./wire/upstream.ts";

const fresh: Contact = { complete: true, silentMs: 0, knownLeader: true, lastContactMs: 0 };
const arrival: Arrival = { transport: "udp", clientAddress: "127.0.0.1", wallSeconds: 1e9 };

function newResponder(
  catalog: Catalog,
  settings: Partial<DnsSettings> = {},
  contact: Contact = fresh,
): Responder {
  return new Responder({ ...defaultDnsSettings, ...settings }, catalog, contact, new Random(5));
}

function question(name: string, type: number, ednsSize = 0): Uint8Array {
  const bytes = encodeQuestion(77, name, type)!;
  if (ednsSize === 0) return bytes;
  const opt = [0, 0, 41, ednsSize >> 8, ednsSize & 255, 0, 0, 0, 0, 0, 0];
  const message = Uint8Array.from([...bytes, ...opt]);
  message[11] = 1;
  return message;
}

/** By whichever way it comes: from a template or made anew. */
function ask(responder: Responder, message: Uint8Array, by = arrival): Packet | undefined {
  let bytes = responder.answerKnown(message, by);
  if (bytes === 0) {
    const handled = responder.handle(message, by);
    if (handled.kind !== "reply") return undefined;
    bytes = handled.bytes;
  }
  return decode(Buffer.from(responder.out.subarray(0, bytes)));
}

function rows(reply: Packet | undefined): unknown {
  if (reply === undefined) return undefined;
  const text = (list: Packet["answers"]) => list!.map((row) => JSON.stringify(row)).sort();
  const { answers, authorities, additionals, ...head } = reply;
  return { ...head, rows: [text(answers), text(authorities), text(additionals)] };
}

const webA = question("web.service.consul.", 1);

describe("templates", () => {
  const names = ["a", "b"];
  const operation = fc.oneof(
    fc.record({
      kind: fc.constant("node" as const),
      node: fc.constantFrom("n1", "n2", "n3"),
      address: fc.constantFrom("10.0.0.1", "10.0.0.2", "2001:db8::1", "a.service.consul"),
      meta: fc.constantFrom<Record<string, string>[]>({}, { key: "value" }),
    }),
    fc.record({
      kind: fc.constant("service" as const),
      node: fc.constantFrom("n1", "n2", "n3"),
      id: fc.constantFrom("one", "two"),
      service: fc.constantFrom(...names),
      address: fc.constantFrom("", "10.9.0.1", "b.service.consul"),
      port: fc.constantFrom(1, 2),
    }),
    fc.record({
      kind: fc.constant("check" as const),
      node: fc.constantFrom("n1", "n2", "n3"),
      status: fc.constantFrom("passing", "warning", "critical"),
      serviceId: fc.constantFrom("", "one", "two"),
    }),
    fc.record({
      kind: fc.constantFrom("no-node", "no-service", "no-check"),
      node: fc.constantFrom("n1", "n2", "n3"),
      id: fc.constantFrom("one", "two", ""),
    }),
  );
  const questions = [...names, "c"].flatMap((name) => [
    question(`${name}.service.consul.`, 1),
    question(`${name}.service.consul.`, 33, 1232),
    question(`${name}.service.consul.`, 255, 4096),
  ]).concat([
    question("n1.node.consul.", 1),
    question("n2.node.consul.", 255),
    question("1.0.0.10.in-addr.arpa.", 12),
    question("1.0.9.10.in-addr.arpa.", 12),
  ]);

  test("never outlive what they were made of", () => {
    // Chains of CNAMEs draw among instances, so only replies without a draw are compared.
    const settings = { udpAnswerLimit: 8 };
    let compared = 0;
    fc.assert(
      fc.property(fc.array(operation, { maxLength: 30 }), (operations) => {
        const catalog = new Catalog();
        const cached = newResponder(catalog, settings);
        for (const change of operations) {
          applyTo(catalog, change);
          for (const message of questions) {
            const expected = rows(ask(newResponder(catalog, settings), message));
            if (JSON.stringify(expected).includes("CNAME")) continue;
            compared++;
            for (let i = 0; i < 3; i++) expect(rows(ask(cached, message))).toEqual(expected);
          }
        }
      }),
      { numRuns: 60 },
    );
    expect(compared).toBeGreaterThan(1000);
  });

  function applyTo(
    catalog: Catalog,
    change: typeof operation extends fc.Arbitrary<infer T> ? T
      : never,
  ): void {
    switch (change.kind) {
      case "node":
        return catalog.setNode(nodeRow(change.node, change.address, { meta: change.meta }));
      case "service":
        return catalog.setService(serviceRow(change.node, change.service, change));
      case "check": {
        const { node, status, serviceId } = change;
        return catalog.setCheck(checkRow(node, `check-${serviceId}`, status, serviceId));
      }
      case "no-node":
        return catalog.deleteNode("", change.node);
      case "no-service":
        return catalog.deleteService("", change.node, change.id);
      case "no-check":
        return catalog.deleteCheck("", change.node, `check-${change.id}`);
      default:
        change satisfies never;
    }
  }

  test("draw every instance equally often, in every place", () => {
    const catalog = new Catalog();
    for (let i = 1; i <= 5; i++) {
      catalog.setNode(nodeRow(`n${i}`, `10.0.0.${i}`));
      catalog.setService(serviceRow(`n${i}`, "web"));
    }
    const responder = newResponder(catalog);
    const counts = new Map<string, number>();
    const rounds = 20_000;
    for (let i = 0; i < rounds; i++) {
      for (const [place, row] of ask(responder, webA)!.answers!.entries()) {
        const key = `${place} ${"data" in row ? row.data : ""}`;
        counts.set(key, (counts.get(key) ?? 0) + 1);
      }
    }
    expect(counts.size).toBe(15);
    for (const count of counts.values()) {
      expect(Math.abs(count / rounds - 0.2)).toBeLessThan(0.02);
    }
  });

  test("hold SRV targets and their addresses together", () => {
    const catalog = new Catalog();
    for (let i = 1; i <= 9; i++) {
      catalog.setNode(nodeRow(`n${i}`, `10.0.0.${i}`));
      catalog.setService(serviceRow(`n${i}`, "web", { port: i }));
    }
    const responder = newResponder(catalog);
    for (let i = 0; i < 200; i++) {
      const { answers, additionals } = ask(responder, question("web.service.consul.", 33))!;
      expect(answers).toHaveLength(3);
      const hosts = answers!.map((row) => row.type === "SRV" ? row.data : undefined);
      for (const [place, host] of hosts.entries()) {
        expect(host!.target).toBe(`n${host!.port}.node.dc1.consul`);
        const glue = additionals![place] as { name: string; data: string };
        expect([glue.name, glue.data]).toEqual([host!.target, `10.0.0.${host!.port}`]);
      }
    }
  });

  test("carry each question's own id and the current serial", () => {
    const responder = newResponder(new Catalog());
    for (let i = 0; i < 4; i++) {
      const message = question("absent.service.consul.", 1);
      message[1] = i;
      const reply = ask(responder, message, { ...arrival, wallSeconds: 1e9 + i })!;
      expect(reply.id).toBe(i);
      const soa = reply.authorities![0] as { data: { serial: number } };
      expect(soa.data.serial).toBe(1e9 + i);
    }
    expect(responder.cachedCount).toBe(1);
  });

  test("are bounded in number, and one-off names make none", () => {
    const catalog = new Catalog();
    const random = new Random(1);
    const responder = new Responder(defaultDnsSettings, catalog, fresh, random, { entriesMax: 50 });
    for (let i = 0; i < 2000; i++) ask(responder, question(`x${i}.service.consul.`, 1));
    expect(responder.cachedCount).toBeLessThan(100);
    for (let i = 0; i < 2000; i++) {
      for (let again = 0; again < 3; again++) {
        ask(responder, question(`y${i}.service.consul.`, 1));
      }
    }
    expect(responder.cachedCount).toBeLessThanOrEqual(100);
  });
});

describe("a view that is not fresh", () => {
  const rcode = (contact: Partial<Contact>, settings: Partial<DnsSettings> = {}) => {
    const catalog = new Catalog();
    catalog.setNode(nodeRow("n1", "10.0.0.1"));
    catalog.setService(serviceRow("n1", "web"));
    const responder = newResponder(catalog, settings, { ...fresh, ...contact });
    return (ask(responder, webA) as Packet & { rcode: string }).rcode;
  };

  test("answers while its own silence is bearable, whatever its server's contact", () => {
    expect(rcode({})).toBe("NOERROR");
    expect(rcode({ silentMs: 299_000, knownLeader: false, lastContactMs: 1e6 })).toBe("NOERROR");
    expect(rcode({ silentMs: 301_000 })).toBe("SERVFAIL");
    expect(rcode({ complete: false })).toBe("SERVFAIL");
  });

  test("answers only with a leader when stale answers are not allowed", () => {
    const strict = { allowStale: false };
    expect(rcode({}, strict)).toBe("NOERROR");
    expect(rcode({ knownLeader: false }, strict)).toBe("SERVFAIL");
    expect(rcode({ silentMs: 6000 }, strict)).toBe("SERVFAIL");
    expect(rcode({ knownLeader: false, lastContactMs: 2000 }, { maxStaleMs: 1000 }))
      .toBe("SERVFAIL");
  });

  test("loses its templates with its freshness, and not before", () => {
    const catalog = new Catalog();
    catalog.setNode(nodeRow("n1", "10.0.0.1"));
    catalog.setService(serviceRow("n1", "web"));
    const responder = newResponder(catalog);
    for (let i = 0; i < 3; i++) ask(responder, webA);
    responder.contact = { ...fresh, lastContactMs: 400 };
    expect(responder.cachedCount).toBe(1);
    responder.contact = { ...fresh, silentMs: 400_000 };
    expect((ask(responder, webA) as Packet & { rcode: string }).rcode).toBe("SERVFAIL");
  });
});
