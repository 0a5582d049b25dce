import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { execFileSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { serviceUri, signingUri } from "../core/spiffe.ts";
import {
  certificateFacts,
  crossSign,
  generateKey,
  makeRequest,
  makeRoot,
  readRequest,
  signLeaf,
} from "./x509.ts";
import { serialText } from "./x509-text.ts";

const cluster = "11111111-2222-3333-4444-555555555555";
const uri = serviceUri(cluster, "dc1", "web");
const nowMs = Math.floor(Date.now() / 1000) * 1000;
const year = { notBeforeMs: nowMs, notAfterMs: nowMs + 365 * 86_400_000 };
const threeDays = { notBeforeMs: nowMs - 60_000, notAfterMs: nowMs + 72 * 3_600_000 };
let dir: string;
beforeAll(() => {
  dir = mkdtempSync("/tmp/curia-cad-");
});
afterAll(() => rmSync(dir, { recursive: true }));

function openssl(...parts: string[]): string {
  return execFileSync("openssl", parts, { encoding: "utf8", stdio: ["ignore", "pipe", "pipe"] });
}

function file(name: string, pem: string): string {
  const path = join(dir, name);
  writeFileSync(path, pem);
  return path;
}

async function root(serial: number, type: "ec" | "rsa" = "ec", bits = 256) {
  const keyPem = generateKey(type, bits);
  const name = `pri-abc${serial}.consul.ca.11111111.consul`;
  return { keyPem, certPem: await makeRoot(keyPem, name, signingUri(cluster), serial, year) };
}

async function leaf(issuer: { keyPem: string; certPem: string }, serial = 300) {
  const names = { uris: [uri], dns: ["web.example"], ips: ["127.0.0.1"], emails: [] };
  const { csrPem, keyPem } = await makeRequest(names);
  const request = await readRequest(csrPem);
  expect(request.names).toEqual(names);
  return { keyPem, certPem: await signLeaf(request, issuer, serial, threeDays) };
}

describe("certificates", () => {
  test("openssl verifies a leaf strictly, for every key type of the root", async () => {
    for (const [type, bits] of [["ec", 256], ["ec", 384], ["ec", 521], ["rsa", 2048]] as const) {
      const by = await root(7, type, bits);
      const signed = await leaf(by);
      const verified = openssl(
        ...["verify", "-x509_strict", "-CAfile", file("root.pem", by.certPem)],
        file("leaf.pem", signed.certPem),
      );
      expect(verified).toContain("OK");
      expect(signed.keyPem).toContain("BEGIN EC PRIVATE KEY");
    }
  });

  test("a leaf has Consul's shape", async () => {
    const by = await root(7);
    const text = openssl(
      ...["x509", "-noout", "-text", "-in", file("leaf.pem", (await leaf(by)).certPem)],
    );
    const shape = text.split("\n").map((line) => line.trim());
    expect(shape).toContain("Serial Number: 300 (0x12c)");
    expect(text).toMatch(/Subject: *\n/);
    expect(text).toContain("Issuer: CN = pri-abc7.consul.ca.11111111.consul");
    expect(text).toContain(
      "Digital Signature, Key Encipherment, Data Encipherment, Key Agreement",
    );
    expect(text).toContain("TLS Web Client Authentication, TLS Web Server Authentication");
    expect(text).toContain(`DNS:web.example, IP Address:127.0.0.1, URI:${uri}`);
    const order = shape.filter((line) => line.startsWith("X509v3 ") && line.includes(":"));
    expect(order).toEqual([
      "X509v3 extensions:",
      "X509v3 Key Usage: critical",
      "X509v3 Extended Key Usage:",
      "X509v3 Basic Constraints: critical",
      "X509v3 Subject Key Identifier:",
      "X509v3 Authority Key Identifier:",
      "X509v3 Subject Alternative Name: critical",
    ]);
  });

  test("a root has Consul's shape and its facts are read back", async () => {
    const by = await root(200);
    const facts = certificateFacts(by.certPem);
    expect(facts.serial).toBe(200n);
    expect(serialText(facts.serial)).toBe("c8");
    expect(serialText(0x12cn)).toBe("01:2c");
    expect(facts.uris).toEqual([signingUri(cluster)]);
    expect(facts.keyId).toMatch(/^([0-9a-f]{2}:){31}[0-9a-f]{2}$/);
    const path = file("root.pem", by.certPem);
    const sha1 = openssl("x509", "-noout", "-fingerprint", "-sha1", "-in", path);
    expect(sha1.trim().toLowerCase()).toEndWith(facts.fingerprint);
    const text = openssl("x509", "-noout", "-text", "-in", path);
    expect(text).toContain("CA:TRUE\n");
    expect(text).toContain("Digital Signature, Certificate Sign, CRL Sign");
    expect(text.toLowerCase()).toContain(facts.keyId);
  });

  test("who trusts only the old root believes in a leaf of the new one", async () => {
    const [old, fresh] = [await root(7), await root(8)];
    const bridge = await crossSign(fresh.certPem, old, signingUri(cluster), 9, threeDays);
    const signed = await leaf(fresh);
    const verified = openssl(
      ...["verify", "-x509_strict", "-CAfile", file("old.pem", old.certPem)],
      ...["-untrusted", file("bridge.pem", bridge), file("leaf.pem", signed.certPem)],
    );
    expect(verified).toContain("OK");
    const foreign = () => openssl("verify", "-CAfile", join(dir, "old.pem"), join(dir, "leaf.pem"));
    expect(foreign).toThrow();
  });

  test("a request that was tampered with is refused", async () => {
    const { csrPem } = await makeRequest({ uris: [uri], dns: [], ips: [], emails: [] });
    const der = Buffer.from(csrPem.replace(/-----.*-----|\n/g, ""), "base64");
    der[der.length - 5]! ^= 1;
    const tampered = `-----BEGIN CERTIFICATE REQUEST-----\n${der.toString("base64")}\n` +
      "-----END CERTIFICATE REQUEST-----\n";
    await expect(readRequest(tampered)).rejects.toThrow();
    await expect(readRequest("garbage")).rejects.toThrow();
  });
});
