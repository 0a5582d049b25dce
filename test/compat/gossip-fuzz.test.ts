// Recorded packets and streams with bytes changed, cut, repeated and glued: nothing but a WireError
// may come out of the layers, nothing at all out of the machine. FUZZ_RUNS sets how many.
import { expect, test } from "bun:test";
import fc from "fast-check";
import { readdirSync, readFileSync } from "node:fs";
import { Random } from "#shared/random.ts";
import { Keyring } from "../../services/gossipd/core/keyring.ts";
import { GossipPool } from "../../services/gossipd/core/pool.ts";
import { consulVersions, lanProfile } from "../../services/gossipd/core/settings.ts";
import { decodePacket, type Envelope } from "../../services/gossipd/core/wire/packet.ts";
import { WireError } from "../../services/gossipd/core/wire/reader.ts";
import { StreamReader } from "../../services/gossipd/core/wire/stream.ts";
import { Cipher } from "../../services/gossipd/io/cipher.ts";

const folder = new URL("fixtures/gossip/", import.meta.url).pathname;
const samples = readdirSync(folder)
  .filter((name) => name.endsWith(".bin"))
  .map((name) => ({ name, bytes: new Uint8Array(readFileSync(folder + name)) }));
const runs = Number(process.env["FUZZ_RUNS"] ?? 20_000);
const seed = Number(process.env["FUZZ_SEED"] ?? Math.floor(Math.random() * 2 ** 31));
const from = { address: Uint8Array.of(127, 0, 0, 1), port: 27946 };

const plain: Envelope = { label: "", compress: true, sealOutgoing: true, refusePlain: true };
const sealed: Envelope = {
  ...plain,
  refusePlain: false,
  sealer: new Cipher(new Keyring([Uint8Array.from({ length: 32 }, (_, i) => i)])),
};

type Change =
  | { kind: "set"; at: number; value: number }
  | { kind: "cut"; at: number }
  | { kind: "repeat"; at: number; length: number }
  | { kind: "glue"; other: number };

const place = fc.double({ min: 0, max: 1, noNaN: true });
const change: fc.Arbitrary<Change> = fc.oneof(
  { weight: 6, arbitrary: fc.record({ kind: fc.constant("set"), at: place, value: fc.nat(255) }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant("cut"), at: place }) },
  {
    weight: 1,
    arbitrary: fc.record({ kind: fc.constant("repeat"), at: place, length: fc.nat(64) }),
  },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant("glue"), other: fc.nat(100) }) },
) as fc.Arbitrary<Change>;

function changed(bytes: Uint8Array, changes: readonly Change[]): Uint8Array {
  let out: Uint8Array = bytes.slice();
  for (const one of changes) {
    const at = "at" in one ? Math.floor(one.at * out.length) : 0;
    if (one.kind === "set" && at < out.length) out[at] = one.value;
    else if (one.kind === "cut") out = out.slice(0, at);
    else if (one.kind === "repeat") {
      out = joined(out.subarray(0, at + one.length), out.subarray(at));
    } else if (one.kind === "glue") out = joined(out, samples[one.other % samples.length]!.bytes);
  }
  return out.slice(0, 65_507);
}

function joined(a: Uint8Array, b: Uint8Array): Uint8Array {
  const both = new Uint8Array(a.length + b.length);
  both.set(a);
  both.set(b, a.length);
  return both;
}

function newPool(): GossipPool {
  const settings = {
    ...lanProfile,
    name: "alpha",
    address: from.address,
    port: 27946,
    tags: new Map<string, string>(),
    versions: consulVersions,
    admission: { kind: "open" as const },
    envelopeOverheadBytes: 0,
  };
  const pool = new GossipPool(settings, new Random(1), new Keyring([new Uint8Array(32)]));
  pool.step({ kind: "started" }, 0);
  return pool;
}

let pool = newPool();
let fed = 0;
let nowMs = 0;

/** One machine takes thousands of them, so that they also meet each other's traces. */
function feed(bytes: Uint8Array, envelope: Envelope): void {
  if (fed++ % 5_000 === 0) pool = newPool();
  nowMs += 1;
  try {
    const messages = decodePacket(bytes, envelope);
    pool.step({ kind: "received-packet", from, messages }, nowMs);
  } catch (error) {
    if (!(error instanceof WireError)) throw error;
  }
  try {
    const message = new StreamReader(envelope, true).push(bytes);
    if (message) pool.step({ kind: "received-stream", stream: fed, from, message }, nowMs);
  } catch (error) {
    if (!(error instanceof WireError)) throw error;
  }
}

test(`${runs} changed recordings, seed ${seed}`, () => {
  fc.assert(
    fc.property(
      fc.nat(samples.length - 1),
      fc.array(change, { minLength: 1, maxLength: 6 }),
      fc.boolean(),
      (sample, changes, isSealed) => {
        feed(changed(samples[sample]!.bytes, changes), isSealed ? sealed : plain);
      },
    ),
    { numRuns: runs, seed, verbose: false },
  );
  expect(fed).toBeGreaterThanOrEqual(runs);
  // The recordings reach the machine: it is not only the outer layers that were tested.
  expect(pool.members().length).toBeGreaterThan(1);
}, 3_600_000);
