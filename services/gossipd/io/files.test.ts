import { afterAll, expect, test } from "bun:test";
import {
  appendFileSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { loadKeyring, saveKeyring } from "./keyring-file.ts";
import { resolvePeers, splitHostPort } from "./resolve.ts";
import { SnapshotFile } from "./snapshot-file.ts";

const folder = mkdtempSync(join(tmpdir(), "curia-gossip-files-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const key = (fill: number) => new Uint8Array(16).fill(fill).toBase64();
const refuse = (error: unknown) => {
  throw error;
};

test("the keyring file wins over `encrypt`, which only seeds it", () => {
  const path = join(folder, "serf", "local.keyring");
  expect(loadKeyring(path, "")).toBeUndefined();
  expect(loadKeyring(path, key(1))!.primary![0]).toBe(1);
  expect(statSync(path).mode & 0o777).toBe(0o600);
  const ring = loadKeyring(path, key(2))!;
  expect(ring.keys.map((one) => one[0])).toEqual([1]);
  ring.install(new Uint8Array(16).fill(3));
  saveKeyring(path, ring);
  expect(loadKeyring(path, "")!.keys.length).toBe(2);
  writeFileSync(path, "[]");
  expect(() => loadKeyring(path, key(1))).toThrow("is not valid");
  expect(() => loadKeyring(undefined, "AAAA")).toThrow("16, 24 or 32 bytes");
});

test("a snapshot is read back, also after a torn last line", () => {
  const path = join(folder, "local.snapshot");
  const first = SnapshotFile.open(path, false, refuse);
  expect(first.snapshot).toBeUndefined();
  first.file.append({ kind: "alive", name: "a node", address: "10.0.0.1:8301" });
  first.file.append({ kind: "alive", name: "b", address: "[::1]:8301" });
  first.file.append({ kind: "not-alive", name: "b" });
  first.file.append({ kind: "clock", time: 9 });
  first.file.close();
  appendFileSync(path, "alive: c");
  const { snapshot } = SnapshotFile.open(path, false, refuse);
  expect(snapshot).toEqual({
    alive: new Map([["a node", "10.0.0.1:8301"]]),
    clock: 9,
    eventClock: 0,
    queryClock: 0,
  });
});

test("who left does not rejoin, unless told to", () => {
  const path = join(folder, "left.snapshot");
  const { file } = SnapshotFile.open(path, false, refuse);
  file.append({ kind: "alive", name: "a", address: "10.0.0.1:8301" });
  file.append({ kind: "leave" });
  expect(SnapshotFile.open(path, false, refuse).snapshot!.alive.size).toBe(0);
  expect(SnapshotFile.open(path, true, refuse).snapshot!.alive.size).toBe(1);
});

test("a snapshot that has grown is rewritten small", () => {
  const path = join(folder, "grown.snapshot");
  const { file } = SnapshotFile.open(path, false, refuse);
  for (let i = 0; i < 12_000; i++) file.append({ kind: "clock", time: i });
  file.append({ kind: "alive", name: "a", address: "10.0.0.1:8301" });
  file.close();
  expect(statSync(path).size).toBeLessThan(200);
  expect(readFileSync(path, "utf8")).toContain("alive: a 10.0.0.1:8301\nclock: 11999\n");
});

test("a disk that refuses is reported, and gossip goes on", () => {
  const errors: unknown[] = [];
  const path = join(folder, "gone", "x.snapshot");
  const { file } = SnapshotFile.open(path, false, (error) => errors.push(error));
  rmSync(join(folder, "gone"), { recursive: true });
  file.append({ kind: "clock", time: 1 });
  file.close();
  expect(errors.length).toBe(1);
});

test("addresses take ports, names and brackets", async () => {
  expect(splitHostPort("host", 8301)).toEqual({ host: "host", port: 8301 });
  expect(splitHostPort("host:1", 8301)).toEqual({ host: "host", port: 1 });
  expect(splitHostPort("[::1]:5", 8301)).toEqual({ host: "::1", port: 5 });
  expect(splitHostPort("::1", 8301)).toEqual({ host: "::1", port: 8301 });
  const { peers, errors } = await resolvePeers(
    [
      "10.0.0.1",
      "n2/10.0.0.2:99",
      "host:x",
      "provider=aws tag_key=a",
      "exec=echo 10.0.0.3 10.0.0.4",
    ],
    8301,
  );
  expect(peers.map((peer) => [peer.name, peer.address[3], peer.port])).toEqual([
    [undefined, 1, 8301],
    ["n2", 2, 99],
    [undefined, 3, 8301],
    [undefined, 4, 8301],
  ]);
  expect(errors.length).toBe(2);
  expect(errors[1]).toContain('provider "aws" is not supported');
});
