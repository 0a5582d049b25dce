import { afterEach, expect, test } from "bun:test";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { KvVerb, Query, RestoreMark } from "#proto/messages.js";
import type { Entry } from "../core/raft/messages.ts";
import { bytes, commandEntry, text } from "../state/fixture-store.ts";
import type { ApplyEntry } from "../state/store-types.ts";
import { type Made, RestoreBuilder } from "./restore-builder.ts";
import * as jobs from "./snapshot-jobs.ts";
import type { SnapshotLink } from "./snapshot-link.ts";
import { removeTemporary } from "./snapshots.ts";
import { StateFiles } from "./state-files.ts";
import type { Step } from "./steps.ts";

const fixture = new URL(
  "../../../test/compat/fixtures/consul-snapshots/full-1.21-dev.snap",
  import.meta.url,
);
const archive = new Uint8Array(readFileSync(fixture));
const archiveIndex = 90;
const pieceBytes = 5_000;
const sender = { client: "c", sequence: 1, floor: 1 };

/** The jobs without their worker. */
const direct = {
  run: (name: keyof typeof jobs, ...parts: unknown[]) =>
    (jobs[name] as (...given: unknown[]) => unknown)(...parts),
} as unknown as SnapshotLink;

const folders: string[] = [];
afterEach(() => {
  for (const folder of folders.splice(0)) rmSync(folder, { recursive: true });
});

const set = (key: string, value: string) => ({ kv: { key: bytes(key), value: bytes(value) } });

/** A log that writes, restores the archive under an id, and writes on. */
function logOf(content: Uint8Array, id = "r1"): Entry[] {
  const entries: ApplyEntry[] = [
    commandEntry(1, set("old", "1"), 1, sender),
    commandEntry(2, { restore: { id: "left over", offset: 0, bytes: bytes("x") } }),
  ];
  for (let offset = 0; offset < content.length; offset += pieceBytes) {
    const piece = content.subarray(offset, offset + pieceBytes);
    const command = { restore: { id, offset, bytes: piece } };
    entries.push(commandEntry(entries.length + 1, command));
  }
  const mark = RestoreMark.encode({ id, totalBytes: content.length }).finish();
  const index = entries.length + 1;
  entries.push({ index, term: 1, kind: "barrier", stampMs: 5_000, bytes: mark });
  entries.push({ index: index + 1, term: 1, kind: "barrier", stampMs: 5_000, bytes: mark });
  entries.push(commandEntry(index + 2, set("new", "2"), 5_000));
  return entries.map((entry) => ({ ...entry, origin: "", id: 0 }));
}

class Server {
  readonly folder: string;
  files: StateFiles;
  readonly made: Made[] = [];

  constructor(onStep?: (step: Step) => void) {
    this.folder = mkdtempSync(join(tmpdir(), "curia-restore-"));
    folders.push(this.folder);
    this.files = StateFiles.open(this.folder, onStep);
  }

  /** What a process that was killed finds when it comes back. */
  reopen(): void {
    removeTemporary(this.folder);
    this.files = StateFiles.open(this.folder);
  }

  /** Applies what the state does not have yet, as the replica does. */
  async apply(log: readonly Entry[], built?: () => void): Promise<void> {
    for (const entry of log) {
      if (entry.index <= this.files.applied().index) continue;
      if (entry.kind !== "barrier") {
        this.files.current.apply([entry]);
        continue;
      }
      const builder = new RestoreBuilder(this.folder, this.files, direct);
      const made = await builder.build(this.files.current, entry);
      built?.();
      this.made.push(made);
      if (made.kind === "built") builder.install(made, entry);
      else this.files.current.apply([entry]);
    }
  }

  get(key: string) {
    const query = Query.create({ kvGet: { key: bytes(key) } });
    return this.files.current.read(query).kv[0];
  }
}

test("the state becomes the archive's, with indexes above it and a new generation", async () => {
  const server = new Server();
  const log = logOf(archive);
  await server.apply(log);
  expect(server.made.map(({ kind }) => kind)).toEqual(["built", "done"]);
  const { index, indexBase, generation, restoredIndex } = server.files.applied();
  expect(index).toBe(log.length);
  const at = log.findIndex(({ kind }) => kind === "barrier") + 1;
  expect(at + indexBase).toBe(archiveIndex + 1);
  expect(restoredIndex).toBe(archiveIndex + 1);
  expect(generation).toBe(2);
  expect(server.get("old")).toBeUndefined();
  expect(server.get("app/config")!.modifyIndex).toBe(32);
  expect(server.get("new")!.modifyIndex).toBe(log.length + indexBase);
  const again = commandEntry(log.length + 1, set("old", "1"), 6_000, sender);
  const [outcome] = server.files.current.apply([again]).outcomes;
  expect([outcome!.index, outcome!.errorCode]).toEqual([1, 0]);
  expect(server.get("old")).toBeUndefined();
  server.files.close();
});

test("rows that the caller read before the restore are never called unchanged", async () => {
  const server = new Server();
  const query = Query.create({ kvGet: { key: bytes("app/config") } });
  await server.apply(logOf(archive));
  expect(server.files.current.read(query, 32).unchanged).toBe(false);
  server.files.current.apply([commandEntry(server.files.applied().index + 1, set("n", "1"))]);
  const fresh = Query.create({ kvGet: { key: bytes("n") } });
  const { index } = server.files.current.read(fresh).meta!;
  expect(server.files.current.read(fresh, index).unchanged).toBe(true);
  server.files.close();
});

test("killed at any step, the state is the old one or the new one, and ends up equal", async () => {
  const reference = new Server();
  const log = logOf(archive);
  await reference.apply(log);
  const hash = reference.files.current.contentHash();
  reference.files.close();
  const steps: (Step | "built")[] = [
    "built",
    "state-renamed",
    "pointer-written",
    "pointer-switched",
    "state-opened",
    "old-state-removed",
  ];
  for (const step of steps) {
    const die = (at: Step | "built") => {
      if (at === step) throw new Error(`killed at ${step}`);
    };
    const server = new Server(die);
    const died = await server.apply(log, () => die("built")).catch((error: Error) => error.message);
    expect(died).toBe(`killed at ${step}`);
    server.reopen();
    const { index } = server.files.applied();
    const at = log.findIndex(({ kind }) => kind === "barrier") + 1;
    expect([at - 1, at]).toContain(index);
    expect(server.get("old") === undefined).toBe(index === at);
    await server.apply(log);
    expect([step, server.files.current.contentHash()]).toEqual([step, hash]);
    server.files.close();
  }
});

test("an archive that lacks a piece, or is none, changes nothing", async () => {
  const log = logOf(archive).filter(({ index }) => index !== 4);
  const server = new Server();
  await server.apply(log);
  expect(server.made.map(({ kind }) => kind)).toEqual(["incomplete", "incomplete"]);
  expect(text(server.get("old")!.value)).toBe("1");
  const other = new Server();
  await other.apply(logOf(bytes("no archive")));
  expect(other.made[0]).toMatchObject({
    kind: "refused",
    reason: "failed to decompress snapshot: gzip: invalid header",
  });
  expect(text(other.get("old")!.value)).toBe("1");
  expect(other.files.applied().generation).toBe(1);
  server.files.close();
  other.files.close();
});

test("of two restores at once the later one wins, and the first hears of it", async () => {
  const server = new Server();
  server.files.current.apply([
    commandEntry(1, { restore: { id: "a", offset: 0, bytes: bytes("1") } }),
    commandEntry(2, { restore: { id: "b", offset: 0, bytes: bytes("1") } }),
  ]);
  const late = commandEntry(3, { restore: { id: "a", offset: 1, bytes: bytes("2") } });
  const { outcomes } = server.files.current.apply([late]);
  expect(outcomes[0]!.error).toContain("another restore took the place");
  server.files.close();
});

test("pieces are no part of the content", async () => {
  const server = new Server();
  const before = server.files.current.contentHash();
  server.files.current.apply([
    commandEntry(1, { restore: { id: "a", offset: 0, bytes: bytes("1") } }),
  ]);
  expect(server.files.current.contentHash()).toBe(before);
  const remove = { kv: { verb: KvVerb.KV_DELETE, key: bytes("none") } };
  server.files.current.apply([commandEntry(2, remove)]);
  expect(server.files.current.contentHash()).toBe(before);
  server.files.close();
});
