import { Database } from "bun:sqlite";
import { afterEach, expect, test } from "bun:test";
import { cpSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { KvVerb } from "#proto/messages.js";
import { Random } from "#shared/random.ts";
import { inspectStateFile } from "./applied.ts";
import { bytes, FixtureStore } from "./fixture-store.ts";
import { formatHash } from "./hash.ts";
import { recount } from "./recount.ts";

const folders: string[] = [];

function freshFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), "curia-recount-"));
  folders.push(folder);
  return folder;
}

afterEach(() => {
  for (const folder of folders.splice(0)) rmSync(folder, { recursive: true });
});

/** A state with rows in every table. */
function filled(file: string): FixtureStore {
  const fixture = new FixtureStore(file);
  const node = { node: "N1", address: "10.0.0.1", meta: { b: "2", a: "1" } };
  const service = { id: "web-1", service: "web", port: 80, tags: ["x"] };
  fixture.run({ register: { node, service, checks: [{ node: "N1", checkId: "c1", name: "c" }] } });
  fixture.session({ id: "5e55", node: "N1", lockDelayNs: "15000000000" });
  const coordinate = { node: "N1", segment: "", vec: [1, 2], error: 1, adjustment: 0, height: 1 };
  fixture.run({ coordinates: { coordinates: [coordinate] } });
  const document = { kind: "intention", id: "i1", bodyJson: bytes("{}"), secretJson: bytes("s") };
  fixture.run({ document: { document } });
  const random = new Random(7);
  for (let n = 0; n < 300; n++) {
    const key = bytes(`k${random.below(40)}`);
    const verb = random.chance(0.2) ? KvVerb.KV_DELETE : KvVerb.KV_SET;
    const flags = random.chance(0.3) ? bytes("12345678") : new Uint8Array(0);
    fixture.run({ kv: { verb, key, flags, value: bytes("v".repeat(random.below(500))) } }, {
      client: `client-${random.below(3)}`,
      sequence: n + 1,
      floor: n,
    });
  }
  fixture.run({ kv: { verb: KvVerb.KV_LOCK, key: bytes("k1"), session: "5e55" } });
  return fixture;
}

test("counted anew from the rows, the hash is the one that was kept", () => {
  const folder = freshFolder();
  const fixture = filled(join(folder, "state-1.db"));
  const hash = fixture.store.contentHash();
  const copy = join(folder, "copy.db");
  fixture.store.snapshotTo(copy);
  fixture.store.close();
  const db = new Database(copy, { readonly: true });
  expect(formatHash(recount(db))).toBe(hash);
  const counts = ["kv", "tombstones", "nodes", "services", "checks", "sessions", "coordinates"]
    .concat("documents", "indexes", "clients")
    .map((table) => [table, db.query(`SELECT count(*) FROM ${table}`).values()[0]![0]]);
  for (const [table, count] of counts) expect(count, String(table)).toBeGreaterThan(0);
  db.close();
  expect(inspectStateFile(copy)).toBeDefined();
});

test("a value that changed without the state's doing is found, in every table", () => {
  const folder = freshFolder();
  const fixture = filled(join(folder, "state-1.db"));
  const whole = join(folder, "whole.db");
  fixture.store.snapshotTo(whole);
  fixture.store.close();
  const changes = [
    "UPDATE kv SET value = x'00' WHERE id = (SELECT max(id) FROM kv)",
    "UPDATE kv SET lock_index = lock_index + 1",
    "DELETE FROM kv WHERE id = (SELECT max(id) FROM kv)",
    "UPDATE tombstones SET log_index = log_index + 1",
    "UPDATE nodes SET modify_index = modify_index + 1",
    "UPDATE services SET body = x'00'",
    "UPDATE checks SET body = x'00'",
    "UPDATE sessions SET body = x'00'",
    "UPDATE coordinates SET body = x'00'",
    "UPDATE documents SET secret = x'00'",
    "UPDATE indexes SET value = value + 1",
    "UPDATE clients SET outcomes = x'00'",
  ];
  for (const change of changes) {
    const copy = join(folder, "copy.db");
    cpSync(whole, copy);
    const db = new Database(copy);
    db.run(change);
    db.close();
    expect(inspectStateFile(copy), change).toBeUndefined();
    expect(inspectStateFile(copy, "position")).toBeDefined();
  }
});
