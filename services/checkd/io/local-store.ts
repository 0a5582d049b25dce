// Registrations on disk, in Consul's files and JSON: services/, checks/ and checks/state/ below
// data_dir, named by the SHA-256 of the id. A registration is durable when its promise resolves.

import { mkdirSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { basename, join } from "node:path";
import type { CheckEntry, ServiceEntry } from "../core/local-state.ts";
import { AtomicFiles } from "./atomic-files.ts";
import {
  checkFile,
  type KeptCheck,
  type KeptService,
  readCheckFile,
  readServiceFile,
  serviceFile,
} from "./persisted.ts";

export interface KeptTtl {
  status: string;
  output: string;
}

export class LocalStore {
  readonly #dirs: { services: string; checks: string; states: string } | undefined;
  readonly #files = new AtomicFiles();
  readonly #isDurable: boolean;

  /** An empty directory keeps nothing. Not durable: it survives the daemon, not the machine. */
  constructor(dataDir: string, isDurable = true) {
    this.#isDurable = isDurable;
    if (dataDir === "") return;
    const checks = join(dataDir, "checks");
    this.#dirs = { services: join(dataDir, "services"), checks, states: join(checks, "state") };
    for (const dir of Object.values(this.#dirs)) mkdirSync(dir, { recursive: true, mode: 0o700 });
  }

  saveService(entry: ServiceEntry): Promise<void> {
    return this.#write(this.#dirs?.services, entry.row.id, serviceFile(entry), this.#isDurable);
  }

  removeService(id: string): Promise<void> {
    return this.#remove(this.#dirs?.services, id);
  }

  saveCheck(entry: CheckEntry): Promise<void> {
    return this.#write(this.#dirs?.checks, entry.row.checkId, checkFile(entry), this.#isDurable);
  }

  async removeCheck(id: string): Promise<void> {
    await Promise.all([
      this.#remove(this.#dirs?.checks, id),
      this.#remove(this.#dirs?.states, id),
    ]);
  }

  /** Survives the daemon's death, not the machine's: it is written with each heartbeat. */
  saveTtl(checkId: string, kept: KeptTtl, expiresWallMs: number): Promise<void> {
    const text = JSON.stringify({
      CheckID: checkId,
      Status: kept.status,
      Output: kept.output,
      Expires: Math.floor(expiresWallMs / 1000),
    });
    return this.#write(this.#dirs?.states, checkId, text, false);
  }

  loadServices(warn: (text: string) => void): KeptService[] {
    return this.#load(this.#dirs?.services, warn, readServiceFile, (kept) => kept.row.id);
  }

  loadChecks(warn: (text: string) => void): KeptCheck[] {
    return this.#load(this.#dirs?.checks, warn, readCheckFile, (kept) => kept.row.checkId);
  }

  /** The last note of a TTL check, unless it has expired since. */
  loadTtl(checkId: string, wallMs: number): KeptTtl | undefined {
    if (this.#dirs === undefined) return undefined;
    const path = join(this.#dirs.states, fileName(checkId));
    let kept: { Status?: string; Output?: string; Expires?: number };
    try {
      kept = JSON.parse(readFileSync(path, "utf8")) as typeof kept;
    } catch {
      return undefined;
    }
    if ((kept.Expires ?? 0) * 1000 <= wallMs) {
      rmSync(path, { force: true });
      return undefined;
    }
    return { status: kept.Status ?? "critical", output: kept.Output ?? "" };
  }

  #write(
    dir: string | undefined,
    id: string,
    text: string,
    isDurable: boolean,
  ): Promise<void> {
    if (dir === undefined) return Promise.resolve();
    return this.#files.write(join(dir, fileName(id)), text, isDurable);
  }

  #remove(dir: string | undefined, id: string): Promise<void> {
    if (dir === undefined) return Promise.resolve();
    return this.#files.write(join(dir, fileName(id)), null, this.#isDurable);
  }

  #load<Kept>(
    dir: string | undefined,
    warn: (text: string) => void,
    read: (text: string) => Kept,
    idOf: (kept: Kept) => string,
  ): Kept[] {
    if (dir === undefined) return [];
    const found: Kept[] = [];
    for (const file of readdirSync(dir, { withFileTypes: true })) {
      if (!file.isFile()) continue;
      const path = join(dir, file.name);
      if (file.name.endsWith(".tmp")) {
        warn(`ignoring the unfinished file ${path}`);
        continue;
      }
      try {
        const kept = read(readFileSync(path, "utf8"));
        // Older releases named the file otherwise; two files must not hold one id.
        if (fileName(idOf(kept)) !== basename(path)) {
          warn(`ignoring ${path}: its name does not belong to ${idOf(kept)}`);
          continue;
        }
        found.push(kept);
      } catch (error) {
        warn(`ignoring ${path}: ${(error as Error).message}`);
      }
    }
    return found;
  }
}

export function fileName(id: string): string {
  return new Bun.CryptoHasher("sha256").update(id).digest("hex");
}
