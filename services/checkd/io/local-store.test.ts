import { afterAll, expect, test } from "bun:test";
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { CheckEntry, ServiceEntry } from "../core/local-state.ts";
import { emptyCheck, emptyService } from "../core/model.ts";
import { AtomicFiles } from "./atomic-files.ts";
import { fileName, LocalStore } from "./local-store.ts";

const dirs: string[] = [];
afterAll(() => dirs.forEach((dir) => rmSync(dir, { recursive: true })));

function freshDir(): string {
  const dir = mkdtempSync("/tmp/curia-checkd-store-");
  dirs.push(dir);
  return dir;
}

const unwarned = (text: string) => {
  throw new Error(`unexpected warning: ${text}`);
};

const entry: ServiceEntry = {
  row: {
    ...emptyService(),
    id: "web-1",
    service: "web",
    tags: ["a", "b"],
    address: "10.0.0.1",
    port: 80,
    taggedAddresses: { lan_ipv4: { address: "10.0.0.1", port: 80 } },
    meta: { k: "v" },
    weights: { passing: 3, warning: 2 },
    enableTagOverride: true,
    connectJson: '{"Native":true}',
  },
  token: "secret",
  source: "remote",
  isSidecar: false,
  sync: "synced",
  revision: 1,
};

const check: CheckEntry = {
  row: {
    checkId: "service:web-1",
    name: "c",
    status: "passing",
    notes: "n",
    output: "o",
    serviceId: "web-1",
    serviceName: "web",
    serviceTags: ["a", "b"],
    type: "http",
    interval: "1.5s",
    timeout: "",
  },
  definition: {
    ...emptyCheck(),
    http: "http://x/",
    header: { A: ["1", "2"] },
    intervalMs: 1500,
    h2pingUseTls: false,
    failuresBeforeCritical: 3,
  },
  token: "",
  source: "remote",
  sync: "synced",
  revision: 2,
  criticalSinceMs: undefined,
  isProven: true,
  isOutputDeferred: false,
};

test("what is kept comes back; a check as critical without output", async () => {
  const dir = freshDir();
  const store = new LocalStore(dir);
  await store.saveService(entry);
  await store.saveCheck(check);
  const again = new LocalStore(dir);
  expect(again.loadServices(unwarned)).toEqual([
    { row: entry.row, token: "secret", source: "remote", isSidecar: false },
  ]);
  expect(again.loadChecks(unwarned)).toEqual([
    {
      row: { ...check.row, status: "critical", output: "" },
      definition: check.definition,
      token: "",
      source: "remote",
    },
  ]);
  const file = readFileSync(join(dir, "checks", fileName("service:web-1")), "utf8");
  expect(JSON.parse(file).ChkType.Interval).toBe(1_500_000_000);
  await again.removeService("web-1");
  await again.removeCheck("service:web-1");
  expect(new LocalStore(dir).loadServices(unwarned)).toEqual([]);
  expect(new LocalStore(dir).loadChecks(unwarned)).toEqual([]);
});

test("a TTL state comes back until it expires", async () => {
  const store = new LocalStore(freshDir());
  await store.saveTtl("t", { status: "passing", output: "fine" }, 50_000);
  expect(store.loadTtl("t", 49_000)).toEqual({ status: "passing", output: "fine" });
  expect(store.loadTtl("t", 50_000)).toBeUndefined();
  expect(store.loadTtl("t", 0)).toBeUndefined();
});

test("garbage and unfinished files are named and skipped", async () => {
  const dir = freshDir();
  const store = new LocalStore(dir);
  await store.saveService(entry);
  writeFileSync(join(dir, "services", "x.tmp"), "{");
  writeFileSync(join(dir, "services", fileName("bad")), "{");
  writeFileSync(join(dir, "services", fileName("src")), '{"Service":{"ID":"src"},"Source":"?"}');
  writeFileSync(
    join(dir, "services", "other"),
    JSON.stringify({ Service: { ID: "q" }, Source: "remote" }),
  );
  const warnings: string[] = [];
  const kept = store.loadServices((text) => warnings.push(text));
  expect(kept.map((service) => service.row.id)).toEqual(["web-1"]);
  expect(warnings.length).toBe(4);
});

test("the last write of a path wins, and no write overlaps another", async () => {
  const dir = freshDir();
  const files = new AtomicFiles();
  const path = join(dir, "f");
  const writes = Array.from({ length: 50 }, (_, i) => files.write(path, String(i), i % 2 === 0));
  await Promise.all(writes);
  expect(readFileSync(path, "utf8")).toBe("49");
  await Promise.all([files.write(path, "x", true), files.write(path, null, true)]);
  expect(readdirSync(dir)).toEqual([]);
  await expect(files.write(join(dir, "no", "f"), "x", true)).rejects.toThrow();
  await files.write(path, "again", true);
  expect(readFileSync(path, "utf8")).toBe("again");
});

test("without a data directory nothing is kept", async () => {
  const store = new LocalStore("");
  await store.saveService(entry);
  expect(store.loadServices(unwarned)).toEqual([]);
});
