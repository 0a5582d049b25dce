// Addresses to join as users write them, into endpoints: `host`, `host:port`, `[v6]:port`, an expected
// node name before a slash, and `exec=` or `provider=` forms.
import { execFile } from "node:child_process";
import { lookup } from "node:dns/promises";
import { parseDurationMs } from "#shared/consul/duration.ts";
import { parseAddress } from "../core/address.ts";
import type { Peer } from "../core/border.ts";
import { mdnsQuestion, parsePairs } from "../core/discovery.ts";
import { askMdns } from "./mdns.ts";

export interface Resolved {
  peers: Peer[];
  errors: string[];
}

const execTimeoutMs = 10_000;

export async function resolvePeers(
  addresses: readonly string[],
  defaultPort: number,
): Promise<Resolved> {
  const resolved: Resolved = { peers: [], errors: [] };
  for (const address of addresses) {
    try {
      resolved.peers.push(...await resolveOne(address.trim(), defaultPort));
    } catch (error) {
      const reason = error instanceof Error ? error.message : String(error);
      resolved.errors.push(`Failed to resolve ${address}: ${reason}`);
    }
  }
  return resolved;
}

async function resolveOne(address: string, defaultPort: number): Promise<Peer[]> {
  if (address.startsWith("exec=")) {
    const lines = await runExec(address.slice("exec=".length));
    return (await Promise.all(lines.map((line) => resolveHost(line, defaultPort)))).flat();
  }
  return /(?:^|\s)provider=/.test(address) ? discover(address) : resolveHost(address, defaultPort);
}

async function discover(text: string): Promise<Peer[]> {
  const pairs = parsePairs(text);
  if (pairs === undefined) throw new Error("expected key=value pairs");
  const provider = pairs.get("provider");
  if (provider !== "mdns") {
    throw new Error(
      `discovery provider "${provider}" is not supported; use addresses, DNS, exec= or provider=mdns`,
    );
  }
  const question = mdnsQuestion(pairs, (duration) => {
    try {
      return parseDurationMs(duration);
    } catch {
      return undefined;
    }
  });
  if (typeof question === "string") throw new Error(question);
  return (await askMdns(question)).flatMap(({ host, port }) => {
    const address = parseAddress(host);
    return address ? [{ address, port }] : [];
  });
}

async function resolveHost(address: string, defaultPort: number): Promise<Peer[]> {
  const slash = address.indexOf("/");
  const name = slash > 0 ? { name: address.slice(0, slash) } : {};
  const { host, port } = splitHostPort(address.slice(slash + 1), defaultPort);
  const literal = parseAddress(host);
  if (literal) return [{ ...name, address: literal, port }];
  const found = await lookup(host, { all: true });
  return found.flatMap((entry) => {
    const bytes = parseAddress(entry.address);
    return bytes ? [{ ...name, address: bytes, port }] : [];
  });
}

export function splitHostPort(text: string, defaultPort: number): { host: string; port: number } {
  const bracketed = /^\[(.*)\](?::(\d+))?$/.exec(text);
  if (bracketed) return checked(bracketed[1]!, bracketed[2], defaultPort);
  // More than one colon and no brackets: a bare IPv6 address.
  if (text.indexOf(":") !== text.lastIndexOf(":")) return { host: text, port: defaultPort };
  const [host = "", port] = text.split(":");
  return checked(host, port, defaultPort);
}

function checked(host: string, portText: string | undefined, defaultPort: number) {
  const port = portText === undefined || portText === "" ? defaultPort : Number(portText);
  if (host === "") throw new Error("expected a host");
  if (!Number.isInteger(port) || port < 1 || port > 65535) {
    throw new Error(`expected a port from 1 to 65535, but found ${portText}`);
  }
  return { host, port };
}

/** A program that prints one address a line, or several in one line. */
function runExec(command: string): Promise<string[]> {
  const [program = "", ...args] = command.split(/\s+/);
  return new Promise((resolve, reject) => {
    execFile(program, args, { timeout: execTimeoutMs }, (error, stdout) => {
      if (error) reject(new Error(`${program}: ${error.message}`));
      else resolve(stdout.split(/\s+/).filter((line) => line !== ""));
    });
  });
}
