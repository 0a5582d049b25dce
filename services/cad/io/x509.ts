// Certificates in the exact shape that Consul's built-in provider gives them. Runs in a worker
// (x509-link.ts): most nodes need it rarely.

import "reflect-metadata";
import {
  createHash,
  createPrivateKey,
  createPublicKey,
  generateKeyPairSync,
  type KeyObject,
  webcrypto,
} from "node:crypto";
import {
  AuthorityKeyIdentifierExtension,
  BasicConstraintsExtension,
  cryptoProvider,
  ExtendedKeyUsage,
  ExtendedKeyUsageExtension,
  type Extension,
  type GeneralName,
  KeyUsageFlags,
  KeyUsagesExtension,
  Pkcs10CertificateRequest,
  Pkcs10CertificateRequestGenerator,
  SubjectAlternativeNameExtension,
  SubjectKeyIdentifierExtension,
  X509Certificate,
  X509CertificateGenerator,
} from "@peculiar/x509";

import type { Names } from "../core/request.ts";
import { colons } from "./x509-text.ts";

cryptoProvider.set(webcrypto as never);

export interface Request {
  names: Names;
  /** DER SubjectPublicKeyInfo. */
  publicKey: Uint8Array;
}

export interface Issuer {
  certPem: string;
  keyPem: string;
}

export interface Period {
  notBeforeMs: number;
  notAfterMs: number;
}

/** A private key in the PEM forms that Consul writes: SEC1 for EC, PKCS1 for RSA. */
export function generateKey(type: "ec" | "rsa", bits: number): string {
  const key = type === "ec"
    ? generateKeyPairSync("ec", { namedCurve: `P-${bits}` }).privateKey
    : generateKeyPairSync("rsa", { modulusLength: bits }).privateKey;
  return key.export({ format: "pem", type: type === "ec" ? "sec1" : "pkcs1" }) as string;
}

/** Self-signed, with the name and the key usages of a Consul root. */
export async function makeRoot(
  keyPem: string,
  commonName: string,
  uri: string,
  serial: number,
  period: Period,
): Promise<string> {
  const spki = spkiOf(keyPem);
  const keyId = keyIdOf(spki);
  const certificate = await X509CertificateGenerator.create({
    serialNumber: hexSerial(serial),
    subject: `CN=${commonName}`,
    issuer: `CN=${commonName}`,
    notBefore: new Date(period.notBeforeMs),
    notAfter: new Date(period.notAfterMs),
    signingKey: (await signingKey(keyPem)).key,
    publicKey: publicKeyOf(spki),
    signingAlgorithm: (await signingKey(keyPem)).algorithm,
    extensions: caExtensions(keyId, keyId, uri),
  });
  return pem(certificate);
}

/** The same subject and key as `rootPem`, signed by an older root, so that who trusts only that one
 *  believes in the new one. */
export async function crossSign(
  rootPem: string,
  issuer: Issuer,
  uri: string,
  serial: number,
  period: Period,
): Promise<string> {
  const root = new X509Certificate(rootPem);
  const by = new X509Certificate(issuer.certPem);
  const { key, algorithm } = await signingKey(issuer.keyPem);
  const certificate = await X509CertificateGenerator.create({
    serialNumber: hexSerial(serial),
    subject: root.subjectName,
    issuer: by.subjectName,
    notBefore: new Date(period.notBeforeMs),
    notAfter: new Date(period.notAfterMs),
    signingKey: key,
    publicKey: root.publicKey,
    signingAlgorithm: algorithm,
    extensions: caExtensions(
      keyIdOf(new Uint8Array(root.publicKey.rawData)),
      keyIdOf(new Uint8Array(by.publicKey.rawData)),
      uri,
    ),
  });
  return pem(certificate);
}

export async function signLeaf(
  request: Request,
  issuer: Issuer,
  serial: number,
  period: Period,
): Promise<string> {
  const by = new X509Certificate(issuer.certPem);
  const { key, algorithm } = await signingKey(issuer.keyPem);
  const certificate = await X509CertificateGenerator.create({
    serialNumber: hexSerial(serial),
    subject: "",
    issuer: by.subjectName,
    notBefore: new Date(period.notBeforeMs),
    notAfter: new Date(period.notAfterMs),
    signingKey: key,
    publicKey: publicKeyOf(request.publicKey),
    signingAlgorithm: algorithm,
    extensions: [
      new KeyUsagesExtension(
        KeyUsageFlags.digitalSignature | KeyUsageFlags.keyEncipherment |
          KeyUsageFlags.dataEncipherment | KeyUsageFlags.keyAgreement,
        true,
      ),
      new ExtendedKeyUsageExtension([ExtendedKeyUsage.clientAuth, ExtendedKeyUsage.serverAuth]),
      new BasicConstraintsExtension(false, undefined, true),
      new SubjectKeyIdentifierExtension(hex(keyIdOf(request.publicKey))),
      new AuthorityKeyIdentifierExtension(hex(keyIdOf(new Uint8Array(by.publicKey.rawData)))),
      new SubjectAlternativeNameExtension(generalNames(request.names), true),
    ],
  });
  return pem(certificate);
}

/** A request with an empty subject; the key is made for it. */
export async function makeRequest(names: Names): Promise<{ csrPem: string; keyPem: string }> {
  const keyPem = generateKey("ec", 256);
  const { key, algorithm } = await signingKey(keyPem);
  const publicKey = await webcrypto.subtle.importKey(
    "spki",
    spkiOf(keyPem) as never,
    algorithm,
    true,
    [
      "verify",
    ],
  );
  const request = await Pkcs10CertificateRequestGenerator.create({
    keys: { privateKey: key, publicKey } as never,
    signingAlgorithm: algorithm,
    extensions: [new SubjectAlternativeNameExtension(generalNames(names), true)],
  });
  return { csrPem: `${request.toString("pem")}\n`, keyPem };
}

/** Throws on what is no request or not signed by its own key. */
export async function readRequest(csrPem: string): Promise<Request> {
  const request = new Pkcs10CertificateRequest(csrPem);
  if (!await request.verify()) throw new Error("its signature does not match its key");
  const names: Names = { uris: [], dns: [], ips: [], emails: [] };
  // On a request the library finds extensions by number only.
  const extension = request.extensions.find((found) => found.type === "2.5.29.17");
  if (extension !== undefined) {
    const parsed = new SubjectAlternativeNameExtension(extension.rawData);
    for (const { type, value } of parsed.names.items) {
      if (type === "url") names.uris.push(value);
      else if (type === "dns") names.dns.push(value);
      else if (type === "ip") names.ips.push(value);
      else if (type === "email") names.emails.push(value);
    }
  }
  return { names, publicKey: new Uint8Array(request.publicKey.rawData) };
}

export interface CertificateFacts {
  serial: bigint;
  /** Colon-hex of SHA-1 over the whole certificate. */
  fingerprint: string;
  /** Colon-hex of SHA-256 over its public key. */
  keyId: string;
  notBefore: Date;
  notAfter: Date;
  uris: string[];
}

export function certificateFacts(certPem: string): CertificateFacts {
  const certificate = new X509Certificate(certPem);
  const names = certificate.getExtension(SubjectAlternativeNameExtension)?.names.items ?? [];
  const der = new Uint8Array(certificate.rawData);
  return {
    serial: BigInt(`0x${certificate.serialNumber}`),
    fingerprint: colons(createHash("sha1").update(der).digest()),
    keyId: colons(keyIdOf(new Uint8Array(certificate.publicKey.rawData))),
    notBefore: certificate.notBefore,
    notAfter: certificate.notAfter,
    uris: names.filter(({ type }) => type === "url").map(({ value }) => value),
  };
}

function caExtensions(keyId: Uint8Array, issuerKeyId: Uint8Array, uri: string): Extension[] {
  return [
    new KeyUsagesExtension(
      KeyUsageFlags.keyCertSign | KeyUsageFlags.cRLSign | KeyUsageFlags.digitalSignature,
      true,
    ),
    new BasicConstraintsExtension(true, undefined, true),
    new SubjectKeyIdentifierExtension(hex(keyId)),
    new AuthorityKeyIdentifierExtension(hex(issuerKeyId)),
    new SubjectAlternativeNameExtension([{ type: "url", value: uri }], false),
  ];
}

function generalNames(
  names: Names,
): ConstructorParameters<typeof SubjectAlternativeNameExtension>[0] {
  const named = (type: GeneralName["type"], values: string[]) =>
    values.map((value) => ({ type, value }));
  return [
    ...named("dns", names.dns),
    ...named("ip", names.ips),
    ...named("url", names.uris),
  ] as never;
}

async function signingKey(keyPem: string) {
  const key: KeyObject = createPrivateKey(keyPem);
  const algorithm = key.asymmetricKeyType === "rsa"
    ? { name: "RSASSA-PKCS1-v1_5", hash: "SHA-256" }
    : { name: "ECDSA", namedCurve: curveOf(key), hash: "SHA-256" };
  const pkcs8 = key.export({ format: "der", type: "pkcs8" });
  const imported = await webcrypto.subtle.importKey("pkcs8", pkcs8, algorithm, true, ["sign"]);
  return { key: imported as never, algorithm };
}

const curves: Record<string, string> = {
  prime256v1: "P-256",
  secp384r1: "P-384",
  secp521r1: "P-521",
};

function curveOf(key: KeyObject): string {
  const name = key.asymmetricKeyDetails?.namedCurve ?? "";
  return curves[name] ?? name;
}

function publicKeyOf(spki: Uint8Array) {
  return new Uint8Array(spki) as never;
}

function spkiOf(keyPem: string): Uint8Array {
  return createPublicKey(createPrivateKey(keyPem)).export({ format: "der", type: "spki" });
}

function keyIdOf(spki: Uint8Array): Uint8Array {
  return createHash("sha256").update(spki).digest();
}

function hex(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString("hex");
}

/** DER integers are signed: a high first bit needs a zero before it. */
function hexSerial(serial: number): string {
  const digits = BigInt(serial).toString(16);
  const whole = digits.length % 2 === 0 ? digits : `0${digits}`;
  return Number.parseInt(whole.slice(0, 2), 16) >= 0x80 ? `00${whole}` : whole;
}

function pem(certificate: X509Certificate): string {
  return `${certificate.toString("pem").trimEnd()}\n`;
}
