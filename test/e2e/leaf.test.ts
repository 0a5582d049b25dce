// A leaf from the HTTP API is one that openssl accepts under the roots from the HTTP API, on a
// server and on a client node.

import { afterAll, beforeAll, expect, test } from "bun:test";
import { X509Certificate } from "node:crypto";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { Cluster } from "./cluster.ts";
import type { TestNode } from "./node.ts";

const cluster = new Cluster({ servers: 1, clients: 1 });
beforeAll(() => cluster.start(), 120_000);
afterAll(() => cluster.remove(), 60_000);

interface Roots {
  TrustDomain: string;
  Roots: { RootCert: string; Active: boolean }[];
}
interface Leaf {
  CertPEM: string;
  PrivateKeyPEM: string;
  ServiceURI: string;
}

async function openssl(node: TestNode, leaf: Leaf, roots: string): Promise<string> {
  const leafFile = join(node.folder, "leaf.pem"), rootsFile = join(node.folder, "roots.pem");
  writeFileSync(leafFile, leaf.CertPEM);
  writeFileSync(rootsFile, roots);
  const verify = Bun.spawn(
    ["openssl", "verify", "-x509_strict", "-CAfile", rootsFile, leafFile],
    { stdout: "pipe", stderr: "pipe" },
  );
  const texts = await Promise.all(
    [verify.stdout, verify.stderr].map((s) => new Response(s).text()),
  );
  return texts.join("").trim().replace(leafFile, "leaf");
}

for (const kind of ["servers", "clients"] as const) {
  test(`a leaf from one of the ${kind} verifies`, async () => {
    const node = cluster[kind][0]!;
    const leaf = await node.json<Leaf>("/v1/agent/connect/ca/leaf/web");
    const { Roots, TrustDomain } = await cluster.servers[0]!.json<Roots>("/v1/connect/ca/roots");
    expect(Roots.filter(({ Active }) => Active).length).toBe(1);
    const roots = Roots.map(({ RootCert }) => RootCert).join("\n");
    expect(await openssl(node, leaf, roots)).toBe("leaf: OK");
    expect(leaf.ServiceURI).toBe(`spiffe://${TrustDomain}/ns/default/dc/dc1/svc/web`);
    const certificate = new X509Certificate(leaf.CertPEM);
    expect(certificate.subjectAltName).toContain(`URI:${leaf.ServiceURI}`);
    // A root of somebody else does not do.
    const stranger = Bun.spawn(
      [
        "openssl",
        "req",
        "-x509",
        "-newkey",
        "ec",
        "-pkeyopt",
        "ec_paramgen_curve:P-256",
        "-nodes",
        "-subj",
        "/CN=stranger",
        "-keyout",
        "/dev/null",
      ],
      { stdout: "pipe", stderr: "ignore" },
    );
    expect(await openssl(node, leaf, await new Response(stranger.stdout).text())).not.toContain(
      "OK",
    );
  }, 60_000);
}
