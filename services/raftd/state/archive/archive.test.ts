import { afterEach, beforeAll, expect, test } from "bun:test";
import { createHash } from "node:crypto";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { gunzipSync, gzipSync } from "node:zlib";
import { KvVerb, Query } from "#proto/messages.js";
import type { CommandInput } from "#proto/messages.js";
import { Random } from "#shared/random.ts";
import { bytes, FixtureStore, text } from "../fixture-store.ts";
import { Store } from "../store.ts";
import { ArchiveExport, inspectArchive, restoreArchive } from "./archive.ts";
import { formatTime, parseJson, parseTime, toJson } from "./forms.ts";
import type { Json, JsonObject } from "./forms.ts";
import { openArchive } from "./container.ts";
import { wholeBody } from "./import.ts";
import { PackReader } from "./msgpack.ts";
import { pack } from "./msgpack-writer.ts";

const fixtures = new URL("../../../../test/compat/fixtures/consul-snapshots/", import.meta.url);
const position = {
  index: 91,
  term: 2,
  stampMs: 7,
  configuration: new Uint8Array(0),
  configurationIndex: 1,
  generation: 91,
  indexBase: 0,
  restoreId: "",
};
const folders: string[] = [];

function freshFile(): string {
  const folder = mkdtempSync(join(tmpdir(), "curia-archive-"));
  folders.push(folder);
  return join(folder, "state-1.db");
}

afterEach(() => {
  for (const folder of folders.splice(0)) rmSync(folder, { recursive: true });
});

type Expected = Record<string, JsonObject & JsonObject[]>;
const load = (name: string) => readFileSync(new URL(`${name}.snap`, fixtures));
const expectedOf = (name: string): Expected =>
  JSON.parse(readFileSync(new URL(`${name}.expected.json`, fixtures), "utf8"));

let expected: Expected;
beforeAll(() => {
  expected = expectedOf("full-1.21-dev");
});

function restored(name: string): Store {
  const file = freshFile();
  restoreArchive(load(name), file, position);
  return new Store(file);
}

/** The expected JSON in the form that documents have. */
function asDocument(value: Json, field = ""): Json {
  if (typeof value === "object" && value !== null && !Array.isArray(value)) {
    if (typeof value.$hex === "string") {
      const raw = Buffer.from(value.$hex, "hex");
      return raw.length === 15 ? formatTime(raw) : raw.toString("base64");
    }
    const entries = Object.entries(value)
      .map((
        [key, item],
      ) => [key.replace(/^MAPKEY:\{Name: '(.*)'\}$/, "$1"), asDocument(item, key)]);
    return Object.fromEntries(entries);
  }
  if (Array.isArray(value)) return value.map((item) => asDocument(item));
  return typeof value === "string" ? value : toJson(value, field);
}

function documentsOf(store: Store, kind: string): JsonObject[] {
  return store.tables.documents.list(kind).map((document) => ({
    ...wholeBody(document),
    CreateIndex: document.createIndex,
    ModifyIndex: document.modifyIndex,
  }));
}

function sortedBy(field: string, rows: readonly JsonObject[]): JsonObject[] {
  return [...rows].sort((a, b) => String(a[field]) < String(b[field]) ? -1 : 1);
}

for (const name of ["full-1.21-dev", "minimal-1.21-server"]) {
  test(`keys, tombstones, sessions and nodes of ${name} are what an independent decoder found`, () => {
    const want = expectedOf(name);
    const store = restored(name);
    const { kv, sessions, nodes, services, checks } = store.tables;
    const entries = [...kv.list(new Uint8Array(0))].map((entry) => ({
      Key: text(entry.key),
      Flags: String(
        entry.flags.length ? Buffer.from(entry.flags).readBigUInt64BE() : 0n,
      ),
      LockIndex: entry.lockIndex,
      Session: entry.session,
      CreateIndex: entry.createIndex,
      ModifyIndex: entry.modifyIndex,
      ValueSha256: createHash("sha256").update(entry.value).digest("hex"),
      ValueLength: entry.value.length,
    }));
    expect(entries).toMatchObject(
      want.kv!.map(({ ValueBase64: _, ...entry }) => entry as typeof entries[number]),
    );
    expect(kv.tombstones.list().map(({ key, index }) => ({ Key: text(key), Index: index })))
      .toEqual((want.tombstones ?? []) as unknown as { Key: string; Index: number }[]);
    expect(
      sessions.list().map(({ id, name, node, behavior, ttl, lockDelayNs }) => ({
        ID: id,
        Name: name,
        Node: node,
        Behavior: behavior,
        TTL: ttl,
        LockDelay: Number(lockDelayNs),
      })),
    ).toMatchObject((want.sessions ?? []).map((session) => ({
      ID: session.ID,
      Name: session.Name,
      Node: session.Node,
      Behavior: session.Behavior,
      TTL: session.TTL,
      LockDelay: session.LockDelay,
    })) as never);
    const found = nodes.list("").map((node) => ({
      name: node.node,
      Address: node.address,
      ID: node.id,
      Meta: node.hasMeta ? { ...node.meta } : null,
      TaggedAddresses: node.hasTaggedAddresses ? { ...node.taggedAddresses } : null,
      CreateIndex: node.createIndex,
      ModifyIndex: node.modifyIndex,
      services: services.ofNode("", node.node).map((service) => ({
        ID: service.id,
        Service: service.service,
        Kind: service.kind,
        Port: service.port,
        Address: service.address,
        SocketPath: service.socketPath,
        Tags: service.hasTags ? service.tags : null,
        Meta: service.hasMeta ? { ...service.meta } : null,
        Weights: { Passing: service.weights!.passing, Warning: service.weights!.warning },
        EnableTagOverride: service.enableTagOverride,
        CreateIndex: service.createIndex,
        ModifyIndex: service.modifyIndex,
        ProxyDestination: String(parseJson(service.proxyJson).DestinationServiceName ?? ""),
        ConnectNative: parseJson(service.connectJson).Native ?? false,
      })),
      checks: checks.ofNode("", node.node).map((check) => ({
        CheckID: check.checkId,
        Status: check.status,
        ServiceID: check.serviceId,
        ServiceName: check.serviceName,
        Type: check.type,
        Output: check.output,
        CreateIndex: check.createIndex,
        ModifyIndex: check.modifyIndex,
      })),
    }));
    const wantedNodes = Object.entries(want.nodes as JsonObject).map(([name, node]) => ({
      name,
      ...(node as JsonObject),
    }));
    expect(found as unknown).toMatchObject(JSON.parse(JSON.stringify(
      wantedNodes,
      (key, value) =>
        key === "TaggedAddresses" || key === "Name" || key === "Notes" ? undefined : value,
    )));
    store.close();
  });
}

test("every document kind has its rows, as the struct had them", () => {
  const store = restored("full-1.21-dev");
  const same = (kind: string, key: string, rows: readonly JsonObject[]) =>
    expect([kind, sortedBy(key, documentsOf(store, kind)) as unknown])
      .toMatchObject([kind, sortedBy(key, rows.map((row) => asDocument(row) as JsonObject))]);
  same("acl-token", "AccessorID", expected.aclTokens!);
  same("acl-policy", "ID", expected.aclPolicies!);
  same("acl-role", "ID", expected.aclRoles!);
  same("acl-binding-rule", "ID", expected.aclBindingRules!);
  same("acl-auth-method", "Name", expected.aclAuthMethods!);
  same("prepared-query", "ID", expected.preparedQueries!);
  same("autopilot-config", "ModifyIndex", expected.autopilot!);
  same("ca-root", "ID", expected.caRoots!);
  same("ca-config", "ClusterID", expected.caConfig!);
  same("system-metadata", "Key", expected.systemMetadata!);
  same(
    "federation-state",
    "Datacenter",
    expected.federationStates!.map((row) => row.State as JsonObject),
  );
  expect(documentsOf(store, "service-virtual-ip").map(({ Offset }) => Offset)).toEqual([
    4,
    2,
    3,
    1,
  ]);
  expect(documentsOf(store, "peering")).toHaveLength(1);
  expect(documentsOf(store, "peering-secrets")).toHaveLength(1);
  store.close();
});

test("config entries are known by kind and name, with times, durations and map keys as JSON", () => {
  const store = restored("full-1.21-dev");
  const found = new Map(
    store.tables.documents.list("config-entry").map((each) => [each.id, wholeBody(each)]),
  );
  expect(found.size).toBe(16);
  for (const { Kind, Name, entry } of expected.configEntries!) {
    const { Hash: _, CreateIndex: __, ModifyIndex: ___, ...body } = entry as JsonObject;
    const id = `${Kind}/${Name ?? Kind}`;
    expect([id, found.get(id)] as unknown).toMatchObject([id, asDocument(body)]);
  }
  expect(found.get("service-resolver/web")).toMatchObject({ ConnectTimeout: "7s" });
  expect(found.get("bound-api-gateway/apigw")!.Services).toHaveProperty("web");
  store.close();
});

test("secrets are kept apart from what others may see", () => {
  const store = restored("full-1.21-dev");
  const open = (kind: string) =>
    store.tables.documents.list(kind).map(({ bodyJson }) => text(bodyJson)).join();
  expect(open("acl-token")).not.toContain("bbbbbbbb-0000-0000-0000-000000000001");
  expect(open("system-metadata")).not.toContain("a1e086b1-43f7-c850-eaac-4a4e23ecccb2");
  expect(open("ca-provider-state")).not.toContain("PRIVATE KEY");
  expect(documentsOf(store, "ca-provider-state")[0]!.PrivateKey).toContain("PRIVATE KEY");
  store.close();
});

test("indexes are those of the snapshot, and reads report them", () => {
  const store = restored("full-1.21-dev");
  const indexOf = (query: Parameters<typeof Query.create>[0]) => store.indexOf(Query.create(query));
  expect(indexOf({ nodes: {} })).toBe(58);
  expect(indexOf({ instances: { service: "web", withChecks: true } })).toBe(45);
  expect(indexOf({ node: { node: "ext-db" } })).toBe(42);
  expect(indexOf({ kvGet: { key: new Uint8Array([1]) } })).toBe(53);
  expect(indexOf({ sessions: {} })).toBe(52);
  expect(indexOf({ documents: { kind: "config-entry" } })).toBe(89);
  expect(indexOf({ coordinates: {} })).toBe(88);
  expect(store.applied()).toMatchObject({ index: 91, term: 2, generation: 91 });
  store.close();
});

test("nothing of either archive is unknown, and the counts are Consul's", () => {
  for (const name of ["full-1.21-dev", "minimal-1.21-server"]) {
    const { summary, meta } = inspectArchive(load(name));
    const counts = Object.entries(expectedOf(name).recordCounts as JsonObject)
      .map(([key, count]) => [key.replace(/^\d+ /, ""), count]);
    expect(summary.counts as unknown).toEqual(Object.fromEntries(counts));
    expect(summary.keptRaw).toEqual([]);
    expect(summary.lastIndex).toBe(meta.Index);
  }
});

/** The records of a state.bin by type, each as JSON. */
function recordsOf(state: Uint8Array): Map<number, Json[]> {
  const reader = new PackReader(state);
  reader.value();
  const records = new Map<number, Json[]>();
  while (!reader.isAtEnd) {
    const type = reader.byte();
    const value = toJson(reader.value());
    records.set(type, [...(records.get(type) ?? []), value]);
  }
  return records;
}

function exported(store: Store): Buffer {
  const copy = freshFile();
  store.snapshotTo(copy);
  const servers = [{ Suffrage: 0, ID: "s1", Address: "127.0.0.1:8300" }];
  const about = { index: 91, term: 2, servers, configurationIndex: 1, wallMs: 1_795_371_111_068 };
  const archive = new ArchiveExport(copy);
  const state = [...archive.state(about.index)];
  const { before, after } = archive.around(about);
  archive.close();
  return Buffer.concat([before, ...state, after].map((part) => gzipSync(part)));
}

test("what is saved restores again to the same content", () => {
  for (const name of ["full-1.21-dev", "minimal-1.21-server"]) {
    const store = restored(name);
    const archive = exported(store);
    const file = freshFile();
    const { meta, summary } = restoreArchive(archive, file, position);
    const again = new Store(file);
    expect(again.contentHash()).toBe(store.contentHash());
    expect(meta).toMatchObject({ Version: 1, ID: "2-91-1795371111068", Index: 91, Term: 2 });
    expect(summary.counts as unknown).toMatchObject(inspectArchive(load(name)).summary.counts);
    store.close();
    again.close();
  }
});

test("records that are written equal those that Consul wrote, field by field", () => {
  const store = restored("full-1.21-dev");
  const ours = recordsOf(openArchive(exported(store)).state);
  const theirs = recordsOf(openArchive(load("full-1.21-dev")).state);
  // Hash of config entries is computed anew by the restorer; keys order apart, all else is equal.
  const plain = (records: Json[] | undefined) =>
    (records ?? []).map((record) => JSON.stringify(record, sortKeys)).sort();
  for (const [type, records] of theirs) {
    if (type === 22) continue;
    expect([type, plain(ours.get(type))]).toEqual([type, plain(records)]);
  }
  expect([...ours.keys()].sort()).toEqual([...theirs.keys()].sort());
  store.close();
});

function sortKeys(key: string, value: unknown): unknown {
  // Written with the API's defaults by Consul, and left out by it when it reads them.
  if (key === "TaggedAddresses" && value !== null && Object.keys(value as object).length === 0) {
    return null;
  }
  if (typeof value !== "object" || value === null || Array.isArray(value)) return value;
  return Object.fromEntries(Object.entries(value).sort(([a], [b]) => a < b ? -1 : 1));
}

test("a broken archive is refused with the reason, and leaves no state behind", () => {
  const whole = load("minimal-1.21-server");
  const reasonOf = (archive: Uint8Array) => {
    try {
      inspectArchive(archive);
    } catch (error) {
      return (error as Error).message;
    }
    return "accepted";
  };
  expect(reasonOf(bytes("nonsense"))).toBe("failed to decompress snapshot: gzip: invalid header");
  expect(reasonOf(bytes(""))).toBe("failed to decompress snapshot: EOF");
  expect(reasonOf(gzipSync(""))).toBe(
    "failed to read snapshot file: failed checking integrity of snapshot: file missing for " +
      '"meta.json"',
  );
  expect(reasonOf(whole.subarray(0, 900))).toContain("failed to decompress snapshot");
  expect(reasonOf(gzipSync("nonsense".repeat(100)))).toContain("failed to read snapshot file");
  const tar = gunzipSync(whole);
  const at = tar.indexOf("a/b");
  tar[at] = 0x7a;
  expect(reasonOf(gzipSync(tar))).toContain('hash check failed for "state.bin"');
  const unlisted = Buffer.from(gunzipSync(whole));
  unlisted.write("other.bin ", unlisted.indexOf("state.bin\n") - 0);
  expect(reasonOf(gzipSync(unlisted))).toContain("failed to read snapshot file");
});

test("cut or garbled records never do more than refuse", () => {
  const { state } = openArchive(load("minimal-1.21-server"));
  for (let cut = 0; cut < state.length; cut += 97) {
    const reader = new PackReader(state.subarray(0, cut));
    expect(() => {
      while (!reader.isAtEnd) {
        reader.value();
        reader.byte();
      }
    }).not.toThrow(RangeError);
  }
  const deep = new Uint8Array(10_000).fill(0x91);
  expect(() => new PackReader(deep).value()).toThrow("nested too deeply");
});

test("numbers keep the forms that Go's codec gives them", () => {
  const cases: [number | bigint, string][] = [
    [0, "00"],
    [127, "7f"],
    [128, "cc80"],
    [300, "cd012c"],
    [70_000, "ce00011170"],
    [2 ** 40, "cf0000010000000000"],
    [18_446_744_073_709_551_615n, "cfffffffffffffffff"],
    [-1, "ff"],
    [-33, "d0df"],
    [-5_000_000_000_000_000_000n, "d3ba9c7cc3d8ac0000"].slice(0, 2) as [bigint, string],
  ];
  for (const [value, hex] of cases.slice(0, -1)) {
    expect(Buffer.from(pack(value)).toString("hex")).toBe(hex);
    expect(new PackReader(pack(value)).value()).toBe(value);
  }
  const long = -5_000_000_000_000_000_000n;
  expect(new PackReader(pack(long)).value()).toBe(long);
});

test("times keep nanoseconds and zones", () => {
  for (
    const time of [
      "2026-11-22T20:12:48.5Z",
      "0001-01-01T00:00:00Z",
      "2026-01-02T03:04:05.000000001+02:30",
    ]
  ) {
    expect(formatTime(parseTime(time))).toBe(time);
  }
});

test("an empty state makes an archive too", () => {
  const fixture = new FixtureStore(freshFile());
  const { summary } = inspectArchive(exported(fixture.store));
  expect(summary.counts).toEqual({ ChunkingState: 1 });
  fixture.store.close();
});

test("the content hash is that of the rows alone, whatever way led to them", () => {
  for (let seed = 1; seed <= 3; seed++) {
    const random = new Random(seed);
    const fixture = new FixtureStore(freshFile());
    const key = () => bytes(`${random.pick(["a", "b"])}/${random.below(5)}`);
    const node = () => ({ node: `n${random.below(3)}`, address: `10.0.0.${random.below(3)}` });
    const check = () => ({ name: "c", status: random.pick(["passing", "critical"]) });
    const service = () => ({ service: random.pick(["web", "db"]), port: random.below(3) });
    const document = (name = random.below(3)) => {
      const body = { Kind: "service-defaults", Name: `${name}`, Meta: null, Protocol: "http" };
      const Protocol = `p${random.below(3)}`;
      const bodyJson = bytes(JSON.stringify({ ...body, Protocol }));
      return { kind: "config-entry", id: `service-defaults/${name}`, bodyJson };
    };
    const make: (() => CommandInput)[] = [
      () => ({ kv: { key: key(), value: bytes(`${random.below(3)}`) } }),
      () => ({ kv: { verb: KvVerb.KV_DELETE, key: key() } }),
      () => ({ kv: { verb: KvVerb.KV_DELETE_TREE, key: bytes("a/") } }),
      () => ({ register: { node: node(), service: service(), checks: [check()] } }),
      () => ({ deregister: { node: node().node, serviceId: random.pick(["", "web"]) } }),
      () => ({ deregister: { node: node().node, checkId: "c" } }),
      () => ({ coordinates: { coordinates: [{ node: node().node, vec: [random.below(3)] }] } }),
      () => ({
        session: { create: { id: `s${random.below(3)}`, node: node().node, lockDelayNs: "0" } },
      }),
      () => ({ session: { destroy: `s${random.below(3)}` } }),
      () => ({ document: { document: document() } }),
      () => ({ document: { verb: 2, document: document() } }),
      () => ({ reapTombstones: { throughIndex: random.below(100) } }),
    ];
    for (let step = 0; step < 200; step++) fixture.run(random.pick(make)());
    const file = freshFile();
    restoreArchive(exported(fixture.store), file, position);
    const again = new Store(file);
    expect([seed, again.contentHash()]).toEqual([seed, fixture.store.contentHash()]);
    fixture.store.close();
    again.close();
  }
}, 60_000);
