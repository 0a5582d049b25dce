// Makes CAs and certificates on P-256 keys with @peculiar/x509.

import "reflect-metadata";
import { createPrivateKey, randomBytes, randomInt, randomUUID } from "node:crypto";
import * as x509 from "@peculiar/x509";

export interface KeyedCertificate {
  certificatePem: string;
  keyPem: string;
}

export interface CaOptions {
  /** Empty: one with the serial number in it. */
  commonName: string;
  clusterId: string;
  days: number;
  /** DNS names that the CA is limited to; empty = no limit. */
  permittedNames: readonly string[];
}

export interface CertificateOptions {
  ca: KeyedCertificate;
  commonName: string;
  days: number;
  dnsNames: readonly string[];
  ipAddresses: readonly string[];
  usages: readonly ("server" | "client")[];
}

const algorithm = { name: "ECDSA", namedCurve: "P-256", hash: "SHA-256" } as const;
const serialBytes = 16;
const dayMs = 86_400_000;
/** Clocks of other machines may be behind. */
const leewayMs = 60_000;

export async function makeCa(options: CaOptions): Promise<KeyedCertificate> {
  const keys = await newKeys();
  const serialNumber = newSerial();
  const decimal = BigInt(`0x${serialNumber}`);
  const commonName = options.commonName || `Consul Agent CA ${decimal}`;
  const clusterId = options.clusterId || randomUUID();
  const certificate = await x509.X509CertificateGenerator.createSelfSigned({
    serialNumber,
    name:
      `CN=${commonName}, O=HashiCorp Inc., 2.5.4.9=101 Second Street, L=San Francisco, ST=CA, ` +
      "2.5.4.17=94105, C=US",
    ...validity(options.days),
    keys,
    signingAlgorithm: algorithm,
    extensions: [
      new x509.KeyUsagesExtension(
        x509.KeyUsageFlags.digitalSignature | x509.KeyUsageFlags.keyCertSign |
          x509.KeyUsageFlags.cRLSign,
        true,
      ),
      new x509.BasicConstraintsExtension(true, undefined, true),
      await x509.SubjectKeyIdentifierExtension.create(keys.publicKey),
      await x509.AuthorityKeyIdentifierExtension.create(keys.publicKey),
      new x509.SubjectAlternativeNameExtension([
        { type: "url", value: `spiffe://${clusterId}.consul` },
      ]),
      ...(options.permittedNames.length === 0 ? [] : [nameConstraints(options.permittedNames)]),
    ],
  });
  return await keyed(certificate, keys);
}

export async function makeCertificate(options: CertificateOptions): Promise<KeyedCertificate> {
  const keys = await newKeys();
  const ca = new x509.X509Certificate(options.ca.certificatePem);
  const purposes = {
    server: x509.ExtendedKeyUsage.serverAuth,
    client: x509.ExtendedKeyUsage.clientAuth,
  };
  const certificate = await x509.X509CertificateGenerator.create({
    serialNumber: newSerial(),
    subject: [{ CN: [options.commonName] }],
    issuer: ca.subject,
    ...validity(options.days),
    publicKey: keys.publicKey,
    signingKey: await importKey(options.ca.keyPem),
    signingAlgorithm: algorithm,
    extensions: [
      new x509.KeyUsagesExtension(
        x509.KeyUsageFlags.digitalSignature | x509.KeyUsageFlags.keyEncipherment,
        true,
      ),
      ...(options.usages.length === 0
        ? []
        : [new x509.ExtendedKeyUsageExtension(options.usages.map((usage) => purposes[usage]))]),
      new x509.BasicConstraintsExtension(false, undefined, true),
      await x509.SubjectKeyIdentifierExtension.create(keys.publicKey),
      await x509.AuthorityKeyIdentifierExtension.create(ca.publicKey),
      new x509.SubjectAlternativeNameExtension([
        ...options.dnsNames.map((value) => ({ type: "dns" as const, value })),
        ...options.ipAddresses.map((value) => ({ type: "ip" as const, value })),
      ]),
    ],
  });
  return await keyed(certificate, keys);
}

function newKeys(): Promise<CryptoKeyPair> {
  return crypto.subtle.generateKey(algorithm, true, ["sign", "verify"]) as Promise<CryptoKeyPair>;
}

/** Positive, and of full length. */
function newSerial(): string {
  const bytes = randomBytes(serialBytes);
  bytes[0] = randomInt(1, 0x80);
  return bytes.toString("hex");
}

function validity(days: number): { notBefore: Date; notAfter: Date } {
  const nowMs = Date.now();
  return { notBefore: new Date(nowMs - leewayMs), notAfter: new Date(nowMs + days * dayMs) };
}

async function keyed(
  certificate: x509.X509Certificate,
  keys: CryptoKeyPair,
): Promise<KeyedCertificate> {
  const pkcs8 = Buffer.from(await crypto.subtle.exportKey("pkcs8", keys.privateKey));
  const key = createPrivateKey({ key: pkcs8, format: "der", type: "pkcs8" });
  return {
    certificatePem: `${certificate.toString("pem").trimEnd()}\n`,
    keyPem: key.export({ type: "sec1", format: "pem" }).toString(),
  };
}

function importKey(pem: string): Promise<CryptoKey> {
  const pkcs8 = createPrivateKey(pem).export({ type: "pkcs8", format: "der" });
  return crypto.subtle.importKey("pkcs8", new Uint8Array(pkcs8), algorithm, false, ["sign"]);
}

/** permittedSubtrees [0] of DNS names (RFC 5280, 4.2.1.10), critical. */
function nameConstraints(names: readonly string[]): x509.Extension {
  const subtrees = names.map((name) => tlv(0x30, tlv(0x82, Buffer.from(name))));
  return new x509.Extension("2.5.29.30", true, tlv(0x30, tlv(0xa0, Buffer.concat(subtrees))));
}

function tlv(tag: number, content: Buffer): Buffer {
  const size = content.length;
  const head = size < 0x80
    ? [tag, size]
    : size < 0x100
    ? [tag, 0x81, size]
    : [tag, 0x82, size >> 8, size & 0xff];
  return Buffer.concat([Buffer.from(head), content]);
}
