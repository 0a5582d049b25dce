import { afterAll, expect, test } from "bun:test";
import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createSynced, replaceSynced } from "./synced-file.ts";

const folder = mkdtempSync(join(tmpdir(), "synced-"));
afterAll(() => rmSync(folder, { recursive: true }));

test("a file is made once, whole and with its mode", () => {
  const path = join(folder, "once");
  expect(createSynced(path, "first", 0o600)).toBe(true);
  expect(createSynced(path, "second", 0o600)).toBe(false);
  expect(readFileSync(path, "utf8")).toBe("first");
  expect(statSync(path).mode & 0o777).toBe(0o600);
});

test("a file takes the place of another, and nothing else is left", () => {
  const path = join(folder, "replaced");
  replaceSynced(path, "first", 0o600);
  replaceSynced(path, "second", 0o600);
  expect(readFileSync(path, "utf8")).toBe("second");
  expect(readdirSync(folder).sort()).toEqual(["once", "replaced"]);
});

test("where there is no folder, nothing is made", () => {
  expect(() => createSynced(join(folder, "none/file"), "x", 0o600)).toThrow("ENOENT");
});
