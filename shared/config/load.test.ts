import { afterAll, expect, test } from "bun:test";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { loadDaemonConfig, readEffective } from "./daemon-start.ts";
import { settleNodeId } from "./identity.ts";
import { writeEffective } from "./load.ts";
import { ConfigRefusal } from "./source.ts";
import { socketPath } from "./socket-path.ts";

const folder = mkdtempSync(join(tmpdir(), "curia-load-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

function write(name: string, text: string): string {
  const path = join(folder, name);
  writeFileSync(path, text);
  return path;
}

test("a daemon alone and a daemon of the agent read the same configuration", async () => {
  mkdirSync(join(folder, "conf.d"));
  write("conf.d/b.json", '{"datacenter": "late"}');
  write("conf.d/a.hcl", 'datacenter = "early"\nbind_addr = "127.0.0.1"');
  write("conf.d/readme.txt", "no configuration");
  const dataDir = join(folder, "data");
  const args = ["-config-dir", join(folder, "conf.d"), "-data-dir", dataDir, "-instance", "2"];
  const alone = await loadDaemonConfig(args);
  expect(alone.config.node.datacenter).toBe("late");
  expect(alone.instance).toBe(2);
  expect(alone.warnings.join()).toContain("skipping file");
  const path = writeEffective(alone.config);
  expect(statSync(path).mode & 0o777).toBe(0o640);
  const supervised = await loadDaemonConfig(["--config", path]);
  expect(supervised.config).toEqual(alone.config);
});

test("an effective configuration that was changed by hand is refused", async () => {
  const start = await loadDaemonConfig(["-bind=127.0.0.1", "-data-dir", join(folder, "edited")]);
  const path = writeEffective(start.config);
  writeFileSync(path, readFileSync(path, "utf8").replace('"dc1"', '"dc2"'));
  expect(() => readEffective(path)).toThrow("hash does not match");
});

test("the node's id is made once and stays", () => {
  const dataDir = join(folder, "identity");
  const first = settleNodeId("", dataDir, false);
  expect(settleNodeId("", dataDir, false)).toBe(first);
  expect(statSync(join(dataDir, "node-id")).mode & 0o777).toBe(0o600);
  const given = "AAAAAAAA-bbbb-cccc-dddd-eeeeeeeeeeee".toLowerCase();
  expect(settleNodeId(given, dataDir, false)).toBe(given);
  writeFileSync(join(dataDir, "node-id"), "nonsense");
  expect(() => settleNodeId("", dataDir, false)).toThrow(ConfigRefusal);
});

test("the host's own id gives the same node id everywhere", () => {
  const one = settleNodeId("", join(folder, "host-1"), true);
  expect(settleNodeId("", join(folder, "host-2"), true)).toBe(one);
});

test("a data directory of Consul's is refused with the way to move", async () => {
  const dataDir = join(folder, "consul");
  mkdirSync(join(dataDir, "raft"), { recursive: true });
  writeFileSync(join(dataDir, "raft", "raft.db"), "");
  const start = loadDaemonConfig(["-bind=127.0.0.1", "-data-dir", dataDir]);
  await expect(start).rejects.toThrow("snapshot restore");
});

test("sockets are numbered only where several instances run", async () => {
  const { config } = await loadDaemonConfig([
    "-bind=127.0.0.1",
    "-data-dir",
    join(folder, "several"),
    "-hcl",
    "instances { dnsd = 2 }",
  ]);
  expect(socketPath(config, "dnsd", 2)).toBe(join(folder, "several/run/dnsd.2.sock"));
  expect(socketPath(config, "apid")).toBe(join(folder, "several/run/apid.sock"));
});
