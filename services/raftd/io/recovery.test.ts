import { afterEach, expect, test } from "bun:test";
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Query } from "#proto/messages.js";
import { decodeConfiguration, encodeConfiguration } from "../core/raft/membership.ts";
import type { Entry, Server } from "../core/raft/messages.ts";
import { bytes, commandEntry } from "../state/fixture-store.ts";
import { LogStore } from "./log-store.ts";
import { parsePeers, recoverByPeersFile } from "./recovery.ts";
import { StateFiles } from "./state-files.ts";

const folders: string[] = [];
afterEach(() => {
  for (const folder of folders.splice(0)) rmSync(folder, { recursive: true });
});

const quiet = { debug: () => {}, info: () => {}, warn: () => {} };
const member = (id: string): Server => ({ id, address: `${id}:8300`, suffrage: "voter" });
const peers = JSON.stringify([{ id: "a", address: "a:8300" }]);

/** A server that has applied two entries and has two more in its log. */
function freshFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), "curia-recovery-"));
  folders.push(folder);
  const configuration = encodeConfiguration(["a", "b", "c"].map(member));
  const set = (index: number) => commandEntry(index, { kv: { key: bytes(`k${index}`) } });
  const entries: Entry[] = [
    { ...set(1), kind: "configuration" as const, bytes: configuration },
    set(2),
    set(3),
    { ...set(4), term: 2 },
  ].map((entry) => ({ ...entry, origin: "", id: 0 }));
  const files = StateFiles.open(folder);
  files.current.apply(entries.slice(0, 2));
  files.close();
  const log = new LogStore(join(folder, "log.db"));
  log.open();
  log.write([{ entries }]);
  log.close();
  return folder;
}

test("the first start explains itself and does not use a file from before", async () => {
  const folder = freshFolder();
  writeFileSync(join(folder, "peers.json"), peers);
  await recoverByPeersFile(folder, quiet);
  expect(existsSync(join(folder, "peers.json"))).toBe(false);
  expect(readFileSync(join(folder, "peers.info"), "utf8")).toContain("peers.json");
});

test("all of the log is applied, then the members are those of the file", async () => {
  const folder = freshFolder();
  await recoverByPeersFile(folder, quiet);
  writeFileSync(join(folder, "peers.json"), peers);
  await recoverByPeersFile(folder, quiet);
  expect(existsSync(join(folder, "peers.json"))).toBe(false);
  expect(existsSync(join(folder, "log.db"))).toBe(false);
  const files = StateFiles.open(folder);
  const { index, term, configuration, generation } = files.applied();
  expect([index, term, generation]).toEqual([5, 2, 2]);
  expect(decodeConfiguration(index, configuration).servers).toEqual([member("a")]);
  const last = Query.create({ kvGet: { key: bytes("k4") } });
  expect(files.current.read(last).kv).toHaveLength(1);
  files.close();
  // Cut off before the file was deleted, it is done once more.
  writeFileSync(join(folder, "peers.json"), peers);
  await recoverByPeersFile(folder, quiet);
  const again = StateFiles.open(folder);
  expect(again.applied().index).toBe(6);
  again.close();
});

test("a file that is no good is named with what is wrong, and stays", async () => {
  const folder = freshFolder();
  await recoverByPeersFile(folder, quiet);
  const file = join(folder, "peers.json");
  const refusals: [string, string][] = [
    ["{", "Expected JSON"],
    ["{}", "Expected a list"],
    ["[]", "at least one voter"],
    ['[{"id":"a"}]', "expected an id and an address"],
    ['[{"id":"","address":"a:8300"}]', "expected a server id"],
    ['[{"id":"a","address":"a:1"},{"id":"a","address":"b:1"}]', "duplicate server id"],
    ['[{"id":"a","address":"a:1","non_voter":true}]', "at least one voter"],
    ['["d:8300"]', "was no member"],
  ];
  for (const [text, reason] of refusals) {
    writeFileSync(file, text);
    const message = await recoverByPeersFile(folder, quiet).catch((error: Error) => error.message);
    expect([text, message]).toEqual([text, expect.stringContaining(reason)]);
    expect(existsSync(file)).toBe(true);
  }
  const files = StateFiles.open(folder);
  expect(files.applied().configurationIndex).toBe(1);
  files.close();
});

test("the old form names members by their address", () => {
  expect(parsePeers('["b:8300"]', "peers.json", ["a", "b"].map(member))).toEqual([member("b")]);
});

test("a server without a state has nothing to recover", async () => {
  const folder = mkdtempSync(join(tmpdir(), "curia-recovery-"));
  folders.push(folder);
  await recoverByPeersFile(folder, quiet);
  writeFileSync(join(folder, "peers.json"), peers);
  const message = await recoverByPeersFile(folder, quiet).catch((error: Error) => error.message);
  expect(message).toContain("there is none");
});
