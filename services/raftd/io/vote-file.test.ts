import { afterEach, expect, test } from "bun:test";
import { mkdtempSync, openSync, rmSync, writeSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { VoteFile } from "./vote-file.ts";

const folder = mkdtempSync(join(tmpdir(), "vote-"));
const path = join(folder, "vote");
afterEach(() => rmSync(path, { force: true }));

test("a saved vote is there after reopening", () => {
  const file = new VoteFile(path);
  expect(file.vote).toEqual({ term: 0, votedFor: "" });
  file.save({ term: 7, votedFor: "b" });
  file.save({ term: 8, votedFor: "" });
  file.close();
  expect(new VoteFile(path).vote).toEqual({ term: 8, votedFor: "" });
});

test("a torn newest slot falls back to the one before", () => {
  const file = new VoteFile(path);
  file.save({ term: 1, votedFor: "a" });
  file.save({ term: 2, votedFor: "b" });
  file.close();
  spoil(0);
  expect(new VoteFile(path).vote).toEqual({ term: 1, votedFor: "a" });
});

test("two bad slots stop the server with the file's name", () => {
  new VoteFile(path).close();
  spoil(0);
  spoil(512);
  expect(() => new VoteFile(path)).toThrow(path);
});

function spoil(offset: number): void {
  const fd = openSync(path, "r+");
  writeSync(fd, Uint8Array.of(0xff, 0xff), 0, 2, offset + 20);
}
