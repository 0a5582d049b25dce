// The authority against a stand-in for the replicated documents.

import { describe, expect, test } from "bun:test";
import type { CommandInput } from "#proto/messages.js";
import { openLog } from "#shared/log.ts";
import type { CaRoot } from "../core/roots.ts";
import { activeRoot, type KeptRoot } from "../core/roots.ts";
import { serviceUri } from "../core/spiffe.ts";
import { Authority } from "./authority.ts";
import type { DocumentStore, RowsReply } from "./documents.ts";
import * as functions from "./x509.ts";
import type { X509 } from "./x509-link.ts";

const { certificateFacts, makeRequest } = functions;

interface Stored {
  body: object;
  secret: object;
  createIndex: number;
  modifyIndex: number;
}

class FakeDocuments implements DocumentStore {
  readonly rows = new Map<string, Map<string, Stored>>();
  index = 10;

  list<Body>(kind: string): Promise<RowsReply<Body>> {
    const rows = [...this.rows.get(kind) ?? []].map(([id, row]) => ({
      id,
      body: { ...row.body, ...row.secret } as Body,
      createIndex: row.createIndex,
      modifyIndex: row.modifyIndex,
    }));
    return Promise.resolve({ rows, appliedIndex: this.index });
  }

  swap(kind: string, id: string, index: number, body: object, secret: object = {}) {
    const known = this.rows.get(kind)?.get(id)?.modifyIndex ?? 0;
    this.index++;
    if (known !== index) return Promise.resolve(undefined);
    this.#put(kind, id, body, secret);
    return Promise.resolve(this.index);
  }

  write(commands: CommandInput[]): Promise<void> {
    this.index++;
    const parse = (bytes?: Uint8Array | null) =>
      bytes?.length ? JSON.parse(new TextDecoder().decode(bytes)) as object : {};
    for (const { document } of commands) {
      const { kind, id, bodyJson, secretJson } = document!.document!;
      if (document!.verb === 2) this.rows.get(kind!)?.delete(id!);
      else this.#put(kind!, id!, parse(bodyJson), parse(secretJson));
    }
    return Promise.resolve();
  }

  #put(kind: string, id: string, body: object, secret: object): void {
    if (!this.rows.has(kind)) this.rows.set(kind, new Map());
    const rows = this.rows.get(kind)!;
    const createIndex = rows.get(id)?.createIndex ?? this.index;
    rows.set(id, { body, secret, createIndex, modifyIndex: this.index });
  }

  roots(): KeptRoot[] {
    return [...this.rows.get("ca-root")?.values() ?? []].map((row) => ({
      root: row.body as CaRoot,
      createIndex: row.createIndex,
      modifyIndex: row.modifyIndex,
    }));
  }

  clusterId(): string {
    return ([...this.rows.get("ca-config")!.values()][0]!.body as { ClusterID: string }).ClusterID;
  }
}

const { log } = openLog({ daemon: "cad", node: "n1", level: "silent", write: () => {} });

function authorityOf(documents: FakeDocuments, config: Record<string, unknown> = {}) {
  const clock = {
    wall: 1_800_000_000_000,
    now: 0,
    nowMs: () => clock.now,
    wallMs: () => clock.wall,
  };
  const authority = new Authority({
    documents,
    datacenter: "dc1",
    connect: { caProvider: "consul", caConfig: { CSRMaxPerSecond: 0, ...config } },
    x509: functions as unknown as X509,
    clock,
    log,
  });
  return { authority, clock };
}

async function request(documents: FakeDocuments, service = "web"): Promise<string> {
  const uri = serviceUri(documents.clusterId(), "dc1", service);
  return (await makeRequest({ uris: [uri], dns: [], ips: [], emails: [] })).csrPem;
}

describe("authority", () => {
  test("makes one configuration and one root, and leaves them alone", async () => {
    const documents = new FakeDocuments();
    const { authority } = authorityOf(documents);
    await authority.ensure();
    const [kept] = documents.roots();
    expect(certificateFacts(kept!.root.RootCert).fingerprint).toBe(kept!.root.ID);
    expect(kept!.root.SerialNumber).toBeGreaterThan(10);
    const state = [...documents.rows.get("ca-provider-state")!.values()][0]!;
    expect(JSON.stringify(state.body)).not.toContain("PRIVATE KEY");
    expect(JSON.stringify(state.secret)).toContain("PRIVATE KEY");
    const { index } = documents;
    authority.forget();
    await authority.ensure();
    expect(documents.index).toBe(index);
  });

  test("two leaders at once agree on one cluster and one active root", async () => {
    const documents = new FakeDocuments();
    const [first, second] = [authorityOf(documents), authorityOf(documents)];
    await Promise.all([first.authority.ensure(), second.authority.ensure()]);
    expect(documents.rows.get("ca-config")!.size).toBe(1);
    second.authority.forget();
    await second.authority.ensure();
    expect(documents.roots().filter(({ root }) => root.Active).length).toBe(1);
    second.authority.forget();
    first.authority.forget();
    const csrs = await Promise.all([1, 2, 3, 4].map(() => request(documents)));
    const signed = await Promise.all(
      csrs.map((csr, i) => (i % 2 === 0 ? first : second).authority.sign(csr)),
    );
    expect(new Set(signed.map(({ body }) => body.SerialNumber)).size).toBe(4);
  });

  test("signs what belongs to it and says why not otherwise", async () => {
    const documents = new FakeDocuments();
    const { authority, clock } = authorityOf(documents);
    const early = authority.sign(
      (await makeRequest({ uris: [], dns: [], ips: [], emails: [] })).csrPem,
    );
    await expect(early).rejects.toThrow("CA has not finished initializing");
    await authority.ensure();
    const { body, index, certPem } = await authority.sign(await request(documents));
    expect(index).toBe(documents.index);
    expect(Object.keys(body)).toEqual([
      ...["SerialNumber", "CertPEM", "Service", "ServiceURI", "ValidAfter", "ValidBefore"],
      ...["CreateIndex", "ModifyIndex"],
    ]);
    expect(body).toMatchObject({ Service: "web", CreateIndex: index, ModifyIndex: index });
    const facts = certificateFacts(certPem);
    expect(facts.notBefore.getTime()).toBe(clock.wall - 60_000);
    expect(facts.notAfter.getTime() - facts.notBefore.getTime()).toBe(72 * 3_600_000);
    const foreign = serviceUri("other", "dc1", "web");
    const { csrPem } = await makeRequest({ uris: [foreign], dns: [], ips: [], emails: [] });
    await expect(authority.sign(csrPem)).rejects.toThrow("different trust domain");
    await expect(authority.sign("garbage")).rejects.toThrow("invalid CSR");
  });

  test("a new key means a new, cross-signed root; the old one goes in time", async () => {
    const documents = new FakeDocuments();
    const { authority, clock } = authorityOf(documents);
    await authority.ensure();
    const before = activeRoot(documents.roots())!.root;
    await authority.setConfiguration({
      Provider: "consul",
      Config: { PrivateKeyBits: 384, CSRMaxPerSecond: 0 },
    });
    const after = activeRoot(documents.roots())!.root;
    expect(after.PrivateKeyBits).toBe(384);
    const bridge = certificateFacts(after.IntermediateCerts![0]!);
    expect(bridge.keyId).toBe(certificateFacts(after.RootCert).keyId);
    expect(documents.roots().find(({ root }) => root.ID === before.ID)!.root.Active).toBe(false);
    expect(documents.rows.get("ca-provider-state")!.size).toBe(1);
    const { certPem } = await authority.sign(await request(documents));
    expect(certPem.match(/BEGIN CERTIFICATE/g)!.length).toBe(2);
    clock.wall += 2 * 72 * 3_600_000 + 1000;
    authority.forget();
    await authority.ensure();
    expect(documents.roots().map(({ root }) => root.ID)).toEqual([after.ID]);
  });

  test("other changes keep the root; what cannot be is refused", async () => {
    const documents = new FakeDocuments();
    const { authority } = authorityOf(documents);
    await authority.ensure();
    const before = activeRoot(documents.roots())!.root.ID;
    await authority.setConfiguration({ Provider: "consul", Config: { LeafCertTTL: "24h" } });
    expect(activeRoot(documents.roots())!.root.ID).toBe(before);
    const { body } = await authority.configuration();
    expect(body).toMatchObject({ Provider: "consul", Config: { LeafCertTTL: "24h" }, State: null });
    expect(Object.keys(body)).not.toContain("ClusterID");
    const { index } = documents;
    await authority.setConfiguration({ Provider: "consul", Config: { LeafCertTTL: "24h" } });
    expect(documents.index).toBe(index);
    const refused: [object, string][] = [
      [{ Provider: "vault" }, "not served"],
      [{ Provider: "consul", Config: { LeafCertTTL: "1m" } }, "greater or equal"],
      [{ Provider: "consul", State: { a: "b" } }, "cannot be changed"],
    ];
    for (const [asked, text] of refused) {
      await expect(authority.setConfiguration(asked)).rejects.toThrow(text);
    }
  });

  test("more requests than the rate allows are told to come later", async () => {
    const documents = new FakeDocuments();
    const { authority } = authorityOf(documents, { CSRMaxPerSecond: 1 });
    await authority.ensure();
    await authority.sign(await request(documents));
    const refused = await authority.sign(await request(documents)).catch((error) => error);
    expect(refused).toMatchObject({
      code: "overloaded",
      message: "Rate limit reached, try again later",
    });
  });
});
