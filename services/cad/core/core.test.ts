import { describe, expect, test } from "bun:test";
import { Random } from "#shared/random.ts";
import { readSettings, withConfigDefaults } from "./ca-config.ts";
import { renewalAtMs, retryDelayMs } from "./leaf-life.ts";
import { SigningRate } from "./rate.ts";
import { judgeNames, stamp } from "./request.ts";
import {
  activeRoot,
  type CaRoot,
  expiredRoots,
  type KeptRoot,
  neverRotated,
  rootsBody,
} from "./roots.ts";
import { parseSpiffe, serviceUri, signingUri, trustDomain } from "./spiffe.ts";

const cluster = "11111111-2222-3333-4444-555555555555";
const domain = `${cluster}.consul`;

describe("identities", () => {
  test("are read in Consul's order", () => {
    const read: [string, string | undefined][] = [
      [serviceUri(cluster, "dc1", "web"), "service"],
      [`spiffe://${domain}/ap/p/ns/default/dc/dc1/svc/web`, "service"],
      [`spiffe://${domain}/agent/client/dc/dc1/id/n1`, "agent"],
      [`spiffe://${domain}/gateway/mesh/dc/dc1`, "mesh-gateway"],
      [`spiffe://${domain}/agent/server/dc/dc1`, "server"],
      [signingUri(cluster), "signing"],
      [`spiffe://nodot`, undefined],
      [`spiffe://${domain}/ns/default/dc/dc1/svc/`, undefined],
      [`spiffe://${domain}/other`, undefined],
      [`https://${domain}`, undefined],
      [`spiffe://${domain}/ns/%zz/dc/dc1/svc/web`, undefined],
    ];
    for (const [uri, kind] of read) expect(parseSpiffe(uri)?.kind).toBe(kind as never);
    expect(parseSpiffe(`spiffe://${domain}/ns/default/dc/dc1/svc/a%2Fb`)).toMatchObject({
      service: "a/b",
      partition: "default",
    });
  });

  test("only those of this datacenter and trust domain are signed", () => {
    const judge = (uri: string, change = {}) =>
      judgeNames({ uris: [uri], dns: [], ips: [], emails: [], ...change }, cluster, "dc1");
    const web = serviceUri(cluster, "dc1", "web");
    expect(judge(web).uris).toEqual([web]);
    const shouted = web.replace(domain, domain.toUpperCase());
    expect(judge(shouted).uris).toEqual([shouted]);
    expect(() => judge(web.replace("dc1", "dc2"))).toThrow("different datacenter: dc2, we are dc1");
    expect(() => judge(web.replace(cluster, "other"))).toThrow("different trust domain");
    expect(() => judge(signingUri(cluster))).toThrow("must be a service");
    expect(() => judge(web, { emails: ["a@b"] })).toThrow("e-mail");
    expect(() => judge(web, { uris: [web, web] })).toThrow("exactly one URI");
    const agent = "spiffe://dummy.trustdomain/agent/client/dc/dc1/id/n1";
    expect(judge(agent).uris).toEqual([`spiffe://${domain}/agent/client/dc/dc1/id/n1`]);
  });
});

test("the signing rate is a bucket of one", () => {
  const rate = new SigningRate(50);
  const waits = [0, 0, 0, 100, 100].map((nowMs) => rate.take(nowMs, 500));
  expect(waits).toEqual([0, 20, 40, 0, 20]);
  for (let i = 0; i < 24; i++) rate.take(100, 500);
  expect(rate.take(100, 500)).toBeUndefined();
  rate.perSecond = 0;
  expect(rate.take(100, 500)).toBe(0);
});

test("a leaf is renewed between 60 and 90 % of its life", () => {
  for (let seed = 0; seed < 200; seed++) {
    const random = new Random(seed);
    const validity = { afterMs: 0, beforeMs: 100 * 3_600_000 };
    const atMs = renewalAtMs(validity, 60_000, random) / 3_600_000;
    expect(atMs).toBeGreaterThanOrEqual(60);
    expect(atMs).toBeLessThan(90);
    expect(renewalAtMs(validity, 80 * 3_600_000, random) / 3_600_000).toBeGreaterThanOrEqual(80);
    expect(renewalAtMs(validity, 95 * 3_600_000, random)).toBe(95 * 3_600_000);
    expect(renewalAtMs({ afterMs: 0, beforeMs: 1000 }, 5, random)).toBe(5);
    expect(retryDelayMs(100, random)).toBeLessThanOrEqual(60_000);
  }
});

describe("configuration", () => {
  test("keys are read in any spelling, with defaults", () => {
    expect(withConfigDefaults({ leaf_cert_ttl: "24h", privatekeybits: 384, Foo: 1 })).toEqual({
      LeafCertTTL: "24h",
      IntermediateCertTTL: "8760h",
      RootCertTTL: "87600h",
      PrivateKeyBits: 384,
      Foo: 1,
    });
    expect(readSettings({})).toMatchObject({
      leafTtlMs: 72 * 3_600_000,
      keyType: "ec",
      keyBits: 256,
      csrPerSecond: 50,
    });
    expect(readSettings({ LeafCertTTL: 3_600_000_000_000 }).leafTtlMs).toBe(3_600_000);
  });

  test("limits", () => {
    const faults: [Record<string, unknown>, string][] = [
      [{ LeafCertTTL: "30m" }, "greater or equal than 1h0m0s"],
      [{ LeafCertTTL: "9000h" }, "less than 8760h0m0s"],
      [{ LeafCertTTL: "72h", IntermediateCertTTL: "100h" }, "3 * LeafCertTTL (>=216h0m0s)"],
      [{ RootCertTTL: "24h" }, "root cert ttl: 24h0m0s, intermediate cert ttl: 8760h0m0s"],
      [{ PrivateKeyType: "dsa" }, "must be either 'ec' or 'rsa'"],
      [{ PrivateKeyType: "rsa", PrivateKeyBits: 1024 }, "2048 or 4096"],
      [{ RootCert: "x" }, "must provide a private key"],
      [{ LeafCertTTL: "soon" }, "LeafCertTTL: time: invalid duration"],
    ];
    for (const [config, text] of faults) expect(() => readSettings(config)).toThrow(text);
    expect(readSettings({ LeafCertTTL: "10s", SkipValidate: true }).leafTtlMs).toBe(10_000);
  });
});

describe("roots", () => {
  const root = (id: string, change: Partial<CaRoot>, index: number): KeptRoot => ({
    root: {
      ID: id,
      Name: "Consul CA Primary Cert",
      SerialNumber: 7,
      SigningKeyID: "aa",
      ExternalTrustDomain: cluster,
      NotBefore: stamp(0),
      NotAfter: stamp(1e12),
      RootCert: "pem\n",
      IntermediateCerts: null,
      Active: true,
      RotatedOutAt: neverRotated,
      PrivateKeyType: "ec",
      PrivateKeyBits: 256,
      ...change,
    },
    createIndex: index,
    modifyIndex: index,
  });

  test("the newest active one counts, old ones go after twice a leaf's life", () => {
    const old = root("b", { Active: false, RotatedOutAt: "2026-01-01T00:00:00Z" }, 1);
    const roots = [root("a", {}, 5), old, root("c", {}, 9)];
    expect(activeRoot(roots)?.root.ID).toBe("c");
    const rotatedMs = Date.parse("2026-01-01T00:00:00Z");
    expect(expiredRoots(roots, 1000, rotatedMs + 2000)).toEqual([]);
    expect(expiredRoots(roots, 1000, rotatedMs + 2001)).toEqual([old]);
  });

  test("the answer holds Consul's keys in its order, and no secrets", () => {
    const body = rootsBody(cluster, [root("a", {}, 5)]) as { Roots: object[] };
    expect(Object.keys(body)).toEqual(["ActiveRootID", "TrustDomain", "Roots"]);
    expect(body).toMatchObject({ ActiveRootID: "a", TrustDomain: trustDomain(cluster) });
    expect(Object.keys(body.Roots[0]!)).toEqual([
      ...["ID", "Name", "SerialNumber", "SigningKeyID", "ExternalTrustDomain", "NotBefore"],
      ...["NotAfter", "RootCert", "IntermediateCerts", "Active", "PrivateKeyType"],
      ...["PrivateKeyBits", "CreateIndex", "ModifyIndex"],
    ]);
  });
});
