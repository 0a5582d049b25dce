// `tls`: a CA and certificates for the agents' own TLS, as files.

import { existsSync, readFileSync, writeFileSync } from "node:fs";
import type { Command, CommandContext } from "./command.ts";
import { flag } from "./flags.ts";
import { CommandFailure } from "./refusal.ts";
import { makeCa, makeCertificate } from "./certificates.ts";
import type { KeyedCertificate } from "./certificates.ts";

const caDaysDefault = 1825;
const certificateDaysDefault = 365;

export const commands: readonly Command[] = [
  {
    path: "tls ca create",
    summary: "Create a new consul CA",
    usage: "[options]",
    flags: [
      flag("additional-name-constraint", "strings", "One more name that the CA may sign for."),
      flag("cluster-id", "string", "ID of the cluster in the CA's URI name."),
      flag("common-name", "string", "Common name of the CA."),
      flag("days", "int", "Days the CA is valid for (default 1825)."),
      flag("domain", "string", "Domain of the cluster (default consul)."),
      flag("name-constraint", "bool", "Limit the CA to names of the domain."),
    ],
    run: createCa,
  },
  {
    path: "tls cert create",
    summary: "Create a new certificate",
    usage: "[options]",
    flags: [
      flag("additional-dnsname", "strings", "One more DNS name."),
      flag("additional-ipaddress", "strings", "One more IP address."),
      flag("ca", "string", "Path of the CA certificate (default #DOMAIN#-agent-ca.pem)."),
      flag("cli", "bool", "A certificate for the command line."),
      flag("client", "bool", "A certificate for a client agent."),
      flag("days", "int", "Days the certificate is valid for (default 365)."),
      flag("dc", "string", "Datacenter (default dc1)."),
      flag("domain", "string", "Domain of the cluster (default consul)."),
      flag("key", "string", "Path of the CA key (default #DOMAIN#-agent-ca-key.pem)."),
      flag("node", "string", "Node name of the server."),
      flag("server", "bool", "A certificate for a server."),
    ],
    run: createCertificate,
  },
];

async function createCa({ flags, terminal }: CommandContext): Promise<number> {
  const domain = flags.string("domain", "consul");
  const certificateFile = `${domain}-agent-ca.pem`;
  const keyFile = `${domain}-agent-ca-key.pem`;
  for (const path of [certificateFile, keyFile]) {
    if (existsSync(path)) throw new CommandFailure(`${path} already exists.`);
  }
  const days = flags.int("days", caDaysDefault);
  if (days < 1) throw new CommandFailure("days must be at least 1");
  const extraNames = flags.strings("additional-name-constraint");
  if (extraNames.length > 0 && !flags.bool("name-constraint")) {
    throw new CommandFailure("-additional-name-constraint needs -name-constraint");
  }
  const ca = await makeCa({
    commonName: flags.string("common-name"),
    clusterId: flags.string("cluster-id"),
    days,
    permittedNames: flags.bool("name-constraint") ? [domain, "localhost", ...extraNames] : [],
  });
  save(ca, certificateFile, keyFile, terminal);
  return 0;
}

async function createCertificate({ flags, terminal }: CommandContext): Promise<number> {
  const roles = ["server", "client", "cli"].filter((name) => flags.bool(name));
  const [role] = roles;
  if (role === undefined || roles.length > 1) {
    throw new CommandFailure("Please provide either -server, -client, or -cli");
  }
  if (flags.has("node") && role !== "server") {
    throw new CommandFailure("-node requires -server");
  }
  const domain = flags.string("domain", "consul");
  const dc = flags.string("dc", "dc1");
  const caFile = flags.string("ca", "#DOMAIN#-agent-ca.pem").replace("#DOMAIN#", domain);
  const caKeyFile = flags.string("key", "#DOMAIN#-agent-ca-key.pem").replace("#DOMAIN#", domain);
  const stem = freeStem(`${dc}-${role}-${domain}`);
  const ca = { certificatePem: readPem(caFile), keyPem: readPem(caKeyFile) };
  if (role === "server") {
    terminal.out(
      "==> WARNING: Server Certificates grants authority to become a\n" +
        "    server and access all state in the cluster including root keys\n" +
        "    and all ACL tokens. Do not distribute them to production hosts\n" +
        "    that are not server nodes. Store them as securely as CA keys.\n",
    );
  }
  terminal.out(`==> Using ${caFile} and ${caKeyFile}\n`);
  const own = `${role}.${dc}.${domain}`;
  const node = flags.string("node");
  const certificate = await makeCertificate({
    ca,
    commonName: own,
    days: flags.int("days", certificateDaysDefault),
    dnsNames: [
      ...flags.strings("additional-dnsname"),
      ...(node === "" ? [] : [`${node}.${own}`]),
      ...(role === "cli" ? [own] : [own, "localhost"]),
    ],
    ipAddresses: [
      ...flags.strings("additional-ipaddress"),
      ...(role === "cli" ? [] : ["127.0.0.1"]),
    ],
    usages: role === "cli" ? [] : role === "server" ? ["server", "client"] : ["client", "server"],
  });
  save(certificate, `${stem}.pem`, `${stem}-key.pem`, terminal);
  return 0;
}

/** With the lowest number that no file has. */
function freeStem(prefix: string): string {
  for (let number = 0;; number++) {
    const stem = `${prefix}-${number}`;
    if (!existsSync(`${stem}.pem`) && !existsSync(`${stem}-key.pem`)) return stem;
  }
}

function readPem(path: string): string {
  try {
    return readFileSync(path, "utf8");
  } catch {
    throw new CommandFailure(`Error reading CA: cannot open ${path}`);
  }
}

function save(
  { certificatePem, keyPem }: KeyedCertificate,
  certificateFile: string,
  keyFile: string,
  terminal: CommandContext["terminal"],
): void {
  writeFileSync(certificateFile, certificatePem, { mode: 0o644, flag: "wx" });
  terminal.out(`==> Saved ${certificateFile}\n`);
  writeFileSync(keyFile, keyPem, { mode: 0o600, flag: "wx" });
  terminal.out(`==> Saved ${keyFile}\n`);
}
