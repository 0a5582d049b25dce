import { afterEach, expect, test } from "bun:test";
import { mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Query } from "#proto/messages.js";
import { bytes, commandEntry, text } from "../state/fixture-store.ts";
import { Store } from "../state/store.ts";
import { StateFiles } from "./state-files.ts";
import type { Step } from "./steps.ts";

const folders: string[] = [];

function freshFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), "curia-files-"));
  folders.push(folder);
  return folder;
}

afterEach(() => {
  for (const folder of folders.splice(0)) rmSync(folder, { recursive: true });
});

const query = Query.create({ kvGet: { key: bytes("a") } });
const valueOf = (files: StateFiles) => text(files.current.read(query).kv[0]!.value);
const entry = (index: number, value: string) =>
  commandEntry(index, { kv: { key: bytes("a"), value: bytes(value) } });

/** A state of index 10 as a file of its own. */
function incoming(folder: string): string {
  const store = new Store(":memory:");
  store.apply([entry(10, "new")]);
  const file = join(folder, "incoming.tmp");
  rmSync(file, { force: true });
  store.snapshotTo(file);
  store.close();
  return file;
}

test("an install replaces the state and removes the old file", () => {
  const folder = freshFolder();
  const files = StateFiles.open(folder);
  files.current.apply([entry(1, "old")]);
  expect(files.install(incoming(folder), { index: 10, term: 1 })).toBe(true);
  expect(valueOf(files)).toBe("new");
  files.close();
  const again = StateFiles.open(folder);
  expect(valueOf(again)).toBe("new");
  expect(again.applied().index).toBe(10);
  expect(readdirSync(folder).filter((name) => name.endsWith(".db"))).toEqual(["state-2.db"]);
  again.close();
});

test("a file that is no state, or of another position, is refused and nothing changes", () => {
  const folder = freshFolder();
  const files = StateFiles.open(folder);
  files.current.apply([entry(1, "old")]);
  const garbage = join(folder, "garbage.tmp");
  writeFileSync(garbage, "x".repeat(10_000));
  expect(files.install(garbage, { index: 10, term: 1 })).toBe(false);
  expect(files.install(incoming(folder), { index: 11, term: 1 })).toBe(false);
  expect(files.install(join(folder, "none"), { index: 11, term: 1 })).toBe(false);
  expect(valueOf(files)).toBe("old");
  files.close();
});

test("a crash at any step of an install leaves the old or the new state, whole", () => {
  const steps: Step[] = [
    "state-renamed",
    "pointer-written",
    "pointer-switched",
    "state-opened",
    "old-state-removed",
  ];
  for (const crashAt of steps) {
    const folder = freshFolder();
    const files = StateFiles.open(folder, (step) => {
      if (step === crashAt) throw new Error(`crash at ${step}`);
    });
    files.current.apply([entry(1, "old")]);
    expect(() => files.install(incoming(folder), { index: 10, term: 1 })).toThrow("crash");
    // Nothing was closed: a write-ahead log may lie beside either file.
    const reopened = StateFiles.open(folder);
    const isNew = steps.indexOf(crashAt) >= 2;
    expect([crashAt, valueOf(reopened)]).toEqual([crashAt, isNew ? "new" : "old"]);
    reopened.current.apply([entry(20, "after")]);
    expect(reopened.install(incoming(folder), { index: 10, term: 1 })).toBe(true);
    expect(valueOf(reopened)).toBe("new");
    reopened.close();
  }
});

test("a folder whose pointer is missing or wrong is not taken for an empty one", () => {
  const folder = freshFolder();
  StateFiles.open(folder).close();
  rmSync(join(folder, "state.current"));
  expect(() => StateFiles.open(folder)).toThrow("Expected state.current");
  writeFileSync(join(folder, "state.current"), "nonsense");
  expect(() => StateFiles.open(folder)).toThrow("Expected a name like state-1.db");
  writeFileSync(join(folder, "state.current"), "state-7.db");
  expect(() => StateFiles.open(folder)).toThrow("it is missing");
});

test("a crash before the first file exists begins anew", () => {
  const folder = join(freshFolder(), "raft");
  mkdirSync(folder);
  writeFileSync(join(folder, "state.current"), "state-1.db\n");
  const files = StateFiles.open(folder);
  expect(files.applied().index).toBe(0);
  files.close();
});
