// The node's id: given, or found in the data directory, or made once by exclusive create, so that
// daemons which start together agree on it.

import { mkdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { createSynced } from "../synced-file.ts";
import { ConfigRefusal } from "./source.ts";

const uuidPattern = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/;
const hostIdFiles = [
  "/sys/class/dmi/id/product_uuid",
  "/etc/machine-id",
  "/proc/sys/kernel/random/boot_id",
];

/** `given` is node_id of the configuration; it is not written to disk. */
export function settleNodeId(given: string, dataDir: string, fromHost: boolean): string {
  if (given !== "") return checked(given, "specified NodeID");
  const path = join(dataDir, "node-id");
  const existing = readNodeId(path);
  if (existing !== undefined) return existing;
  mkdirSync(dataDir, { recursive: true, mode: 0o755 });
  const id = fromHost ? hostNodeId() : crypto.randomUUID();
  if (createSynced(path, id, 0o600)) return id;
  return readNodeId(path) ?? settleNodeId(given, dataDir, fromHost);
}

function readNodeId(path: string): string | undefined {
  let text: string;
  try {
    text = readFileSync(path, "utf8").trim().toLowerCase();
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return undefined;
    throw error;
  }
  return checked(text, `node ID in ${path}`);
}

function checked(id: string, what: string): string {
  if (!uuidPattern.test(id)) {
    throw new ConfigRefusal(`${what} is invalid: uuid string is wrong length or form: "${id}"`);
  }
  return id;
}

function hostNodeId(): string {
  for (const path of hostIdFiles) {
    let text: string;
    try {
      text = readFileSync(path, "utf8").trim().toLowerCase();
    } catch {
      continue;
    }
    const hex = new Bun.CryptoHasher("sha512").update(text).digest("hex");
    const parts = [[0, 8], [8, 12], [12, 16], [16, 20], [20, 32]] as const;
    return parts.map(([from, to]) => hex.slice(from, to)).join("-");
  }
  return crypto.randomUUID();
}
