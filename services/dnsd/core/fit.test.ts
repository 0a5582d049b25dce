import { describe, expect, test } from "bun:test";
import { fit } from "./fit.ts";
import type { Draft, Query, Transport } from "./message.ts";
import type { ResourceRecord } from "./records/records.ts";
import { defaultDnsSettings, type DnsSettings } from "./settings.ts";
import { replySize } from "./wire/reply.ts";

const owner = "longname.service.consul.";

function query(type: number, udpSize?: number): Query {
  const edns = udpSize === undefined ? undefined : { udpSize, subnet: undefined };
  const question = { name: owner, type, class: 1 };
  return { id: 1, opcode: 0, recursionDesired: true, checkingDisabled: false, question, edns };
}

function draft(asked: Query): Draft {
  return {
    rcode: 0,
    authoritative: true,
    ...{ answer: [], groups: [], take: undefined, shuffled: true, authority: [], additional: [] },
    fitted: true,
    edns: asked.edns && { ...asked.edns, scopePrefix: 0 },
  };
}

function services(count: number, withText: boolean) {
  const answer: ResourceRecord[] = [];
  const additional: ResourceRecord[] = [];
  for (let i = 1; i <= count; i++) {
    const target = `a-rather-long-node-name-to-fill-datagrams-${i}.node.dc1.consul.`;
    const numbers = { priority: 1, weight: 1, port: 300 + i };
    answer.push({ kind: "SRV", owner, ttlSeconds: 0, ...numbers, target });
    additional.push({ kind: "A", owner: target, ttlSeconds: 0, bytes: Uint8Array.of(10, 3, 0, i) });
    const bytes = new TextEncoder().encode(`purpose=filling datagrams ${i}`);
    if (withText) additional.push({ kind: "TXT", owner: target, ttlSeconds: 0, bytes });
  }
  return { answer, additional };
}

function fitServices(
  count: number,
  udpSize: number | undefined,
  settings: Partial<DnsSettings> = {},
  transport: Transport = "udp",
) {
  const asked = query(33, udpSize);
  const { answer, additional } = services(count, true);
  const all = { ...defaultDnsSettings, enableTruncate: true, ...settings };
  return fit(asked, draft(asked), answer, additional, transport, all);
}

test("the two ways of dropping differ: by one from the full message, by halving from the rebuilt", () => {
  const whole = fitServices(5, 8192);
  expect(replySize(query(33, 8192), whole, true)).toBe(727);
  const byOne = fitServices(5, 700);
  expect([byOne.answer.length, byOne.truncated, byOne.edns]).toEqual([4, true, undefined]);
  const byHalving = fitServices(5, 600);
  expect([byHalving.answer.length, byHalving.truncated, byHalving.edns]).toEqual(
    [5, false, undefined],
  );
  expect(byHalving.additional.every(({ kind }) => kind === "A")).toBe(true);
});

test("what is left leads to its own addresses only", () => {
  const { answer, additional } = fitServices(8, 700);
  const targets = answer.map((row) => row.kind === "SRV" ? row.target : "");
  expect(additional.map((row) => row.owner)).toEqual(targets);
});

test("a plain datagram holds so many answers as udp_answer_limit says, eight at most", () => {
  const count = (udpAnswerLimit: number) => {
    const answer = Array.from({ length: 10 }, (_, i): ResourceRecord => (
      { kind: "A", owner, ttlSeconds: 0, bytes: Uint8Array.of(10, 0, 0, i) }
    ));
    const asked = query(1);
    return fit(asked, draft(asked), answer, [], "udp", { ...defaultDnsSettings, udpAnswerLimit })
      .answer.length;
  };
  expect([0, 1, 3, 8, 20].map(count)).toEqual([0, 1, 3, 8, 8]);
});

describe("over TCP", () => {
  test("neither udp_answer_limit nor 512 bytes count", () => {
    expect(fitServices(60, undefined, {}, "tcp").answer).toHaveLength(60);
  });

  test("1024 SRV are the most, which TC does not tell", () => {
    const reply = fitServices(1100, undefined, { nodeMetaTxt: false }, "tcp");
    expect(reply.answer.length).toBeLessThanOrEqual(1024);
    expect(replySize(query(33), reply, true)).toBeLessThanOrEqual(65523);
  });
});

test("no reply exceeds its limit unless a single answer does", () => {
  for (let udpSize = 512; udpSize < 3000; udpSize += 37) {
    for (const disableCompression of [false, true]) {
      const reply = fitServices(20, udpSize, { disableCompression });
      expect(replySize(query(33, udpSize), reply, !disableCompression))
        .toBeLessThanOrEqual(udpSize);
      expect(reply.truncated).toBe(reply.answer.length < 20);
    }
  }
});
