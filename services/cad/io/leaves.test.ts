import { afterEach, beforeEach, expect, test } from "bun:test";
import { CuriaError } from "#shared/errors.ts";
import { openLog } from "#shared/log.ts";
import { systemClock } from "#shared/machine.ts";
import { Random } from "#shared/random.ts";
import { type LeafParts, type LeafQuery, Leaves } from "./leaves.ts";
import type { X509 } from "./x509-link.ts";

const { log } = openLog({ daemon: "cad", node: "n1", level: "silent", write: () => {} });
const query: LeafQuery = { service: "web", dnsSans: [], ipSans: [], knownIndex: 0, waitMs: 5_000 };

let signatures: number;
let signingKeyId: string;
let changed: () => void;
let refusal: CuriaError | undefined;
let leaves: Leaves;

beforeEach(() => {
  [signatures, signingKeyId, refusal] = [0, "k1", undefined];
  leaves = new Leaves(parts());
});
afterEach(() => leaves.stop());

function parts(): LeafParts {
  return {
    async sign() {
      await Promise.resolve();
      if (refusal !== undefined) throw refusal;
      const index = 100 + ++signatures;
      const [ValidAfter, ValidBefore] = ["2030-01-01T00:00:00Z", "2030-01-04T00:00:00Z"];
      return { index, body: { SerialNumber: "0a", CertPEM: "cert", ValidAfter, ValidBefore } };
    },
    x509: {
      makeRequest: () => Promise.resolve({ csrPem: "csr", keyPem: "key" }),
    } as unknown as X509,
    roots: {
      ready: () => Promise.resolve(),
      isReady: true,
      clusterId: "c",
      get signingKeyId() {
        return signingKeyId;
      },
      onChange(listener: () => void) {
        changed = listener;
        return () => {};
      },
    },
    datacenter: "dc1",
    clock: systemClock,
    random: new Random(1),
    log,
  };
}

test("one signature serves all who ask for the same leaf", async () => {
  const answers = await Promise.all([1, 2, 3].map(() => leaves.get(query)));
  expect(signatures).toBe(1);
  expect(Object.keys(answers[0]!.body)).toEqual([
    ...["SerialNumber", "CertPEM", "PrivateKeyPEM", "ValidAfter", "ValidBefore"],
  ]);
  await leaves.get({ ...query, dnsSans: ["web.example"] });
  expect([signatures, leaves.count]).toEqual([2, 2]);
});

test("a new root means a new leaf for who asks, and a later one for who waits", async () => {
  const first = await leaves.get(query);
  const waiting = leaves.get({ ...query, knownIndex: first.index });
  signingKeyId = "k2";
  changed();
  const second = await leaves.get(query);
  expect(second.index).toBeGreaterThan(first.index);
  expect((await waiting).index).toBe(second.index);
});

test("a wait that ends without news answers what there is", async () => {
  const first = await leaves.get(query);
  const again = await leaves.get({ ...query, knownIndex: first.index, waitMs: 10 });
  expect(again.index).toBe(first.index);
});

test("a refusal reaches who has no leaf yet, and the next question tries again", async () => {
  refusal = new CuriaError("overloaded", "Rate limit reached, try again later");
  const failed = await leaves.get(query).catch((error) => error);
  expect(failed).toMatchObject({ code: "overloaded" });
  refusal = undefined;
  expect((await leaves.get(query)).index).toBe(101);
  const unnamed = await leaves.get({ ...query, service: "" }).catch((error) => error);
  expect(unnamed).toMatchObject({ code: "invalid-argument" });
});
