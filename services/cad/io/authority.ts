// The datacenter's certificate authority (built-in provider): makes the root, signs, rotates. Any
// server's cad could; the leader's does.

import type { CommandInput } from "#proto/messages.js";
import { CuriaError } from "#shared/errors.ts";
import type { Log } from "#shared/log.ts";
import type { Clock } from "#shared/machine.ts";
import type { CaConfigBody, CaSettings } from "../core/ca-config.ts";
import { readSettings, withConfigDefaults } from "../core/ca-config.ts";
import { SigningRate } from "../core/rate.ts";
import { activeRoot, type CaRoot, expiredRoots } from "../core/roots.ts";
import { invalid, issuedBody, judgeNames, stamp } from "../core/request.ts";
import { signingUri } from "../core/spiffe.ts";
import { type DocumentStore, removeCommand, setCommand } from "./documents.ts";
import { type Ca, keyOf, saveState, splitConfig } from "./ca-rows.ts";
import { makeUuid, providerId } from "./names.ts";
import { makeCaRoot, type ProviderState } from "./root-maker.ts";
import { Serials } from "./serials.ts";
import { serialText } from "./x509-text.ts";
import type { Request } from "./x509.ts";
import type { X509 } from "./x509-link.ts";

export interface AuthorityParts {
  documents: DocumentStore;
  datacenter: string;
  /** Of the configuration file: seeds the replicated one. */
  connect: { caProvider: string; caConfig: Record<string, unknown> };
  x509: X509;
  clock: Clock;
  log: Log;
}

export interface Signed {
  certPem: string;
  index: number;
  body: Record<string, unknown>;
}

const configId = "ca-config";
const backdateMs = 60_000;
const crossSignedMs = 7 * 86_400_000;
const rateWaitMs = 500;

export class Authority {
  readonly #parts: AuthorityParts;
  readonly #documents: DocumentStore;
  readonly #serials: Serials;
  readonly #rate = new SigningRate(0);
  #known: Ca | undefined;
  #busy: Promise<unknown> = Promise.resolve();

  constructor(parts: AuthorityParts) {
    this.#parts = parts;
    this.#documents = parts.documents;
    this.#serials = new Serials(parts.documents);
  }

  /** Rows changed: what is known of them is old. */
  forget(): void {
    this.#known = undefined;
  }

  /** The leader's duty: there is a configuration and exactly one active root. */
  ensure(): Promise<void> {
    return this.#alone(async () => {
      const ca = await this.#load() ?? await this.#configure();
      const active = activeRoot(ca.roots);
      if (active === undefined) return await this.#firstRoot(ca);
      const others = ca.roots.filter(({ root }) => root.Active && root.ID !== active.root.ID);
      if (others.length > 0) {
        await this.#documents.write(others.map(({ root }) => this.#retire(root)));
      }
      const { clock, log } = this.#parts;
      const old = expiredRoots(ca.roots, ca.settings.leafTtlMs, clock.wallMs());
      if (old.length === 0) return;
      await this.#documents.write(old.map(({ root }) => removeCommand("ca-root", root.ID)));
      log.info({ roots: old.map(({ root }) => root.ID) }, "roots removed that nothing needs");
    });
  }

  async sign(csrPem: string): Promise<Signed> {
    const request = await this.#parts.x509.readRequest(csrPem).catch((error: Error) => {
      throw invalid(error.message);
    });
    const ca = await this.#ready();
    const { ClusterID: clusterId } = ca.config.body;
    const names = judgeNames(request.names, clusterId, this.#parts.datacenter);
    await this.#awaitRate();
    return await this.#issue({ ...request, names }, ca);
  }

  async configuration(): Promise<{ body: Record<string, unknown>; index: number }> {
    const { config } = await this.#ready();
    const { ClusterID: _, ...shown } = config.body;
    const { createIndex: CreateIndex, modifyIndex: ModifyIndex } = config;
    return { body: { ...shown, CreateIndex, ModifyIndex }, index: ModifyIndex };
  }

  setConfiguration(asked: Partial<CaConfigBody>): Promise<void> {
    return this.#alone(async () => {
      this.forget();
      const ca = await this.#ready();
      const { body } = ca.config;
      if (asked.Provider !== "consul") {
        throw new CuriaError(
          "unimplemented",
          `the CA provider "${asked.Provider ?? ""}" is not served: only "consul" is`,
        );
      }
      if (asked.State && JSON.stringify(asked.State) !== JSON.stringify(body.State)) {
        throw new CuriaError(
          "invalid-argument",
          "CA provider State cannot be changed from outside",
        );
      }
      const given = withConfigDefaults(asked.Config ?? {});
      const settings = readSettings(given);
      const next: CaConfigBody = {
        ...body,
        Config: given,
        ForceWithoutCrossSigning: asked.ForceWithoutCrossSigning === true,
      };
      if (JSON.stringify(next) === JSON.stringify(body)) return;
      if (providerId(settings) === providerId(ca.settings)) return await this.#saveConfig(ca, next);
      await this.#rotate(ca, next, settings);
    });
  }

  /** Operations that change the CA never overlap. */
  #alone<Result>(act: () => Promise<Result>): Promise<Result> {
    const done = this.#busy.then(act);
    this.#busy = done.catch(() => {});
    return done;
  }

  async #ready(): Promise<Ca> {
    const ca = await this.#load();
    if (ca !== undefined && activeRoot(ca.roots) !== undefined) return ca;
    this.forget();
    throw new CuriaError("not-ready", "CA has not finished initializing");
  }

  async #load(): Promise<Ca | undefined> {
    if (this.#known !== undefined) return this.#known;
    const [configs, roots, providers] = await Promise.all([
      this.#documents.list<CaConfigBody>("ca-config"),
      this.#documents.list<CaRoot>("ca-root"),
      this.#documents.list<ProviderState>("ca-provider-state"),
    ]);
    const config = configs.rows[0];
    if (config === undefined) return undefined;
    const settings = readSettings(config.body.Config ?? {});
    this.#rate.perSecond = settings.csrPerSecond;
    const kept = roots.rows.map(({ body, createIndex, modifyIndex }) => ({
      root: body,
      createIndex,
      modifyIndex,
    }));
    return this.#known = { config, settings, roots: kept, providers: providers.rows };
  }

  async #configure(): Promise<Ca> {
    const { connect } = this.#parts;
    const body: CaConfigBody = {
      ClusterID: makeUuid(),
      Provider: "consul",
      Config: withConfigDefaults(connect.caConfig),
      State: null,
      ForceWithoutCrossSigning: false,
    };
    readSettings(body.Config);
    await this.#documents.swap("ca-config", configId, 0, ...splitConfig(body));
    this.forget();
    const ca = await this.#load();
    if (ca === undefined) throw new CuriaError("not-ready", "CA has not finished initializing");
    return ca;
  }

  async #firstRoot(ca: Ca): Promise<void> {
    const { root, state } = await this.#makeRoot(ca.config.body.ClusterID, ca.settings);
    await this.#documents.write([
      saveState(state),
      setCommand("ca-root", root.ID, root),
    ]);
    this.forget();
    this.#parts.log.info({ root: root.ID, name: root.Name }, "root certificate made");
  }

  async #makeRoot(clusterId: string, settings: CaSettings) {
    const { serial } = await this.#serials.next();
    const { x509 } = this.#parts;
    return await makeCaRoot(x509, clusterId, settings, serial, this.#wallSeconds());
  }

  async #rotate(ca: Ca, next: CaConfigBody, settings: CaSettings): Promise<void> {
    const old = activeRoot(ca.roots)!;
    const clusterId = ca.config.body.ClusterID;
    const { root, state } = await this.#makeRoot(clusterId, settings);
    const commands: CommandInput[] = [];
    if (root.ID !== old.root.ID) {
      if (!ca.settings.disableCrossSigning) {
        const issuer = { certPem: old.root.RootCert, keyPem: keyOf(ca, old.root) };
        const { serial } = await this.#serials.next();
        const nowMs = this.#wallSeconds();
        const period = { notBeforeMs: nowMs - backdateMs, notAfterMs: nowMs + crossSignedMs };
        root.IntermediateCerts = [
          await this.#parts.x509.crossSign(
            root.RootCert,
            issuer,
            signingUri(clusterId),
            serial,
            period,
          ),
        ];
      } else if (!next.ForceWithoutCrossSigning) {
        throw new CuriaError(
          "failed-precondition",
          "The current CA Provider does not support cross-signing, set " +
            "ForceWithoutCrossSigning to true to rotate the root all the same",
        );
      }
      commands.push(this.#retire(old.root));
    }
    const [body, secret] = splitConfig(next);
    await this.#documents.write([
      saveState(state),
      ...commands,
      setCommand("ca-root", root.ID, root),
      setCommand("ca-config", ca.config.id, body, secret),
      ...ca.providers.filter((row) => row.id !== state.ID)
        .map((row) => removeCommand("ca-provider-state", row.id)),
    ]);
    this.forget();
    this.#parts.log.info({ root: root.ID, before: old.root.ID }, "root certificate rotated");
  }

  async #saveConfig(ca: Ca, next: CaConfigBody): Promise<void> {
    const { id, modifyIndex } = ca.config;
    const index = await this.#documents.swap("ca-config", id, modifyIndex, ...splitConfig(next));
    this.forget();
    if (index === undefined) {
      throw new CuriaError("failed-precondition", "the CA configuration was changed meanwhile");
    }
  }

  #retire(root: CaRoot): CommandInput {
    const RotatedOutAt = stamp(this.#wallSeconds());
    return setCommand("ca-root", root.ID, { ...root, Active: false, RotatedOutAt });
  }

  async #awaitRate(): Promise<void> {
    const waitMs = this.#rate.take(this.#parts.clock.nowMs(), rateWaitMs);
    if (waitMs === undefined) {
      throw new CuriaError("overloaded", "Rate limit reached, try again later");
    }
    if (waitMs > 0) await new Promise((resolve) => setTimeout(resolve, waitMs));
  }

  async #issue(request: Request, ca: Ca): Promise<Signed> {
    const { root } = activeRoot(ca.roots)!;
    const { clock } = this.#parts;
    if (Date.parse(root.NotAfter) <= clock.wallMs()) {
      throw new CuriaError("failed-precondition", "the root certificate has expired");
    }
    const { serial, index } = await this.#serials.next();
    const notBeforeMs = this.#wallSeconds() - backdateMs;
    const period = { notBeforeMs, notAfterMs: notBeforeMs + ca.settings.leafTtlMs };
    const issuer = { certPem: root.RootCert, keyPem: keyOf(ca, root) };
    const leafPem = await this.#parts.x509.signLeaf(request, issuer, serial, period);
    const certPem = leafPem + (root.IntermediateCerts ?? []).join("");
    const text = serialText(BigInt(serial));
    const uri = request.names.uris[0]!;
    const body = issuedBody({ serialText: text, certPem, uri, index, ...period });
    return { certPem, index, body };
  }

  /** Certificates know whole seconds only. */
  #wallSeconds(): number {
    return Math.floor(this.#parts.clock.wallMs() / 1000) * 1000;
  }
}
