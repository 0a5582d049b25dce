// Leaf certificates of this node's services: kept in memory, renewed before they expire and when
// the root changes (Consul, leaf cert manager).

import { CuriaError, toCuriaError } from "#shared/errors.ts";
import type { Log } from "#shared/log.ts";
import type { Clock } from "#shared/machine.ts";
import type { Random } from "#shared/random.ts";
import { renewalAtMs, retryDelayMs, rootChangeDelayMs } from "../core/leaf-life.ts";
import { serviceUri } from "../core/spiffe.ts";
import type { RootsFeed } from "./roots-feed.ts";
import type { X509 } from "./x509-link.ts";

export interface LeafQuery {
  service: string;
  dnsSans: string[];
  ipSans: string[];
  knownIndex: number;
  waitMs: number;
}

export interface Leaf {
  index: number;
  body: Record<string, unknown>;
}

export interface LeafParts {
  sign: (csrPem: string) => Promise<Leaf>;
  x509: X509;
  roots: Pick<RootsFeed, "ready" | "isReady" | "clusterId" | "signingKeyId" | "onChange">;
  datacenter: string;
  clock: Clock;
  random: Random;
  log: Log;
}

interface Entry {
  query: Pick<LeafQuery, "service" | "dnsSans" | "ipSans">;
  leaf: (Leaf & { signingKeyId: string }) | undefined;
  /** The signing in progress, shared by all who ask. */
  making: Promise<void> | undefined;
  failures: number;
  lastAskedMs: number;
  timer: ReturnType<typeof setTimeout> | undefined;
  waiters: Set<() => void>;
}

/** A leaf that nobody asked for so long is not renewed any more. */
const forgottenMs = 72 * 3_600_000;
const timerMaxMs = 2 ** 31 - 1;

export class Leaves {
  readonly #parts: LeafParts;
  readonly #entries = new Map<string, Entry>();
  readonly #forgetRoots: () => void;

  constructor(parts: LeafParts) {
    this.#parts = parts;
    this.#forgetRoots = parts.roots.onChange(() => this.#rootsChanged());
  }

  get count(): number {
    return this.#entries.size;
  }

  async get(query: LeafQuery): Promise<Leaf> {
    if (query.service === "") throw new CuriaError("invalid-argument", "Missing service name");
    const entry = this.#entryOf(query);
    entry.lastAskedMs = this.#parts.clock.nowMs();
    await this.#parts.roots.ready();
    const isOld = entry.leaf !== undefined && this.#isOfOldRoot(entry);
    if (entry.leaf === undefined || (isOld && query.knownIndex === 0)) {
      await this.#make(entry);
    } else if (query.knownIndex > 0 && entry.leaf.index <= query.knownIndex) {
      await this.#nextLeaf(entry, query.waitMs);
    }
    return entry.leaf!;
  }

  stop(): void {
    this.#forgetRoots();
    for (const entry of this.#entries.values()) clearTimeout(entry.timer);
  }

  #entryOf({ service, dnsSans, ipSans }: LeafQuery): Entry {
    const key = JSON.stringify([service, dnsSans, ipSans]);
    let entry = this.#entries.get(key);
    if (entry === undefined) {
      entry = {
        query: { service, dnsSans, ipSans },
        leaf: undefined,
        making: undefined,
        failures: 0,
        lastAskedMs: 0,
        timer: undefined,
        waiters: new Set(),
      };
      this.#entries.set(key, entry);
    }
    return entry;
  }

  #make(entry: Entry): Promise<void> {
    return entry.making ??= this.#sign(entry).finally(() => entry.making = undefined);
  }

  async #sign(entry: Entry): Promise<void> {
    const { sign, roots, datacenter, clock, random } = this.#parts;
    const { service, dnsSans, ipSans } = entry.query;
    const { signingKeyId } = roots;
    const { csrPem, keyPem } = await this.#parts.x509.makeRequest({
      uris: [serviceUri(roots.clusterId, datacenter, service)],
      dns: [...new Set(dnsSans.map((name) => name.split(":")[0]!))],
      ips: ipSans,
      emails: [],
    });
    const { index, body } = await sign(csrPem);
    const { SerialNumber, CertPEM, ...rest } = body;
    const shown = { SerialNumber, CertPEM, PrivateKeyPEM: keyPem, ...rest };
    entry.leaf = { index, body: shown, signingKeyId };
    entry.failures = 0;
    const wallMs = clock.wallMs();
    const afterMs = Date.parse(String(body.ValidAfter));
    const beforeMs = Date.parse(String(body.ValidBefore));
    this.#renewIn(entry, renewalAtMs({ afterMs, beforeMs }, wallMs, random) - wallMs);
    for (const tell of [...entry.waiters]) tell();
  }

  #renewIn(entry: Entry, delayMs: number): void {
    clearTimeout(entry.timer);
    const stepMs = Math.min(Math.max(1_000, delayMs), timerMaxMs);
    entry.timer = setTimeout(() => this.#renew(entry), stepMs);
    entry.timer.unref();
  }

  #renew(entry: Entry): void {
    const { clock, random, log } = this.#parts;
    if (clock.nowMs() - entry.lastAskedMs > forgottenMs) {
      for (const [key, known] of this.#entries) if (known === entry) this.#entries.delete(key);
      return;
    }
    this.#make(entry).catch((error: unknown) => {
      const { message } = toCuriaError(error);
      log.warn({ service: entry.query.service, error: message }, "leaf not renewed; tries again");
      this.#renewIn(entry, retryDelayMs(entry.failures++, random));
    });
  }

  #isOfOldRoot(entry: Entry): boolean {
    return entry.leaf!.signingKeyId !== this.#parts.roots.signingKeyId;
  }

  #rootsChanged(): void {
    if (!this.#parts.roots.isReady) return;
    for (const entry of this.#entries.values()) {
      if (entry.leaf === undefined || !this.#isOfOldRoot(entry)) continue;
      this.#renewIn(entry, rootChangeDelayMs(this.#parts.random));
    }
  }

  #nextLeaf(entry: Entry, waitMs: number): Promise<void> {
    return new Promise((resolve) => {
      const finish = () => {
        clearTimeout(timer);
        entry.waiters.delete(finish);
        resolve();
      };
      const timer = setTimeout(finish, waitMs);
      entry.waiters.add(finish);
    });
  }
}
