// Certificates that `tls` makes, judged by openssl.

import { afterAll, beforeAll, expect, test } from "bun:test";
import { mkdtempSync, readdirSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

const curia = [process.execPath, join(import.meta.dir, "curia.ts")];
const folder = mkdtempSync(join(tmpdir(), "curia-tls-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

function run(words: string[]) {
  const child = Bun.spawnSync(words, { cwd: folder });
  return { status: child.exitCode, text: child.stdout.toString() + child.stderr.toString() };
}

beforeAll(() => {
  expect(run([...curia, "tls", "ca", "create", "-name-constraint"]).status).toBe(0);
  const server = ["tls", "cert", "create", "-server", "-node=n1", "-additional-dnsname=x.consul"];
  expect(run([...curia, ...server]).status).toBe(0);
  expect(run([...curia, "tls", "cert", "create", "-client"]).status).toBe(0);
  expect(run([...curia, "tls", "cert", "create", "-client"]).status).toBe(0);
}, 60_000);

test("openssl accepts the chain strictly, for the purpose it is made for", () => {
  for (const purpose of ["sslserver", "sslclient"]) {
    const verified = run([
      "openssl",
      "verify",
      "-x509_strict",
      "-purpose",
      purpose,
      "-CAfile",
      "consul-agent-ca.pem",
      "dc1-server-consul-0.pem",
      "dc1-client-consul-0.pem",
      "dc1-client-consul-1.pem",
    ]);
    expect(verified).toEqual({
      status: 0,
      text: "dc1-server-consul-0.pem: OK\ndc1-client-consul-0.pem: OK\n" +
        "dc1-client-consul-1.pem: OK\n",
    });
  }
});

test("a server's names are those that others check", () => {
  const { text } = run([
    "openssl",
    "x509",
    "-in",
    "dc1-server-consul-0.pem",
    "-noout",
    "-text",
  ]);
  expect(text).toContain(
    "DNS:x.consul, DNS:n1.server.dc1.consul, DNS:server.dc1.consul, DNS:localhost, " +
      "IP Address:127.0.0.1",
  );
  expect(text).toContain("Subject: CN = server.dc1.consul");
});

test("keys are for their owner only, and numbers go on", () => {
  const keys = readdirSync(folder).filter((name) => name.endsWith("-key.pem")).sort();
  expect(keys).toEqual([
    "consul-agent-ca-key.pem",
    "dc1-client-consul-0-key.pem",
    "dc1-client-consul-1-key.pem",
    "dc1-server-consul-0-key.pem",
  ]);
  for (const name of keys) expect(statSync(join(folder, name)).mode & 0o777).toBe(0o600);
});
