// The one compiled file: it answers, and its daemons start from it, workers included.

import { afterAll, expect, test } from "bun:test";
import { mkdtempSync, rmSync, symlinkSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

const folder = mkdtempSync(join(tmpdir(), "curia-compiled-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));
const compiled = join(folder, "curia");

test("scripts/compile gives one file that runs without the checkout", async () => {
  const build = Bun.spawnSync(["scripts/compile", compiled], { cwd: join(import.meta.dir, "..") });
  expect(build.stderr.toString() + build.stdout.toString()).toContain("compile");
  expect(build.exitCode).toBe(0);
  const version = Bun.spawnSync([compiled, "version"], { cwd: folder });
  expect(version.stdout.toString()).toMatch(/^Consul v1\.21\.0\+curia\./);
  symlinkSync(compiled, join(folder, "consul"));
  const asConsul = Bun.spawnSync([join(folder, "consul"), "-h"], { cwd: folder });
  expect(asConsul.stdout.toString()).toStartWith("Usage: consul ");
}, 60_000);

test("raftd of the compiled file becomes leader of a one-server datacenter", async () => {
  const child = Bun.spawn([
    compiled,
    "raftd",
    "-server",
    "-bootstrap",
    "-bind=127.0.0.1",
    "-node=one",
    `-data-dir=${join(folder, "data")}`,
    `-server-port=${20_000 + Math.floor(Math.random() * 20_000)}`,
  ], { cwd: folder, stdout: "pipe", stderr: "inherit", stdin: "ignore" });
  let text = "";
  for await (const chunk of child.stdout) {
    text += new TextDecoder().decode(chunk);
    if (/"msg":"ready"/.test(text) || /"role":"leader"/.test(text)) break;
  }
  expect(text).toMatch(/"role":"leader"|"msg":"ready"/);
  child.kill("SIGTERM");
  expect(await child.exited).toBe(0);
}, 60_000);
