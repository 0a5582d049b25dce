// Certificates as other daemons and nodes ask for them (proto/cad.proto).

import { Certificates } from "#proto/services.ts";
import type { BusClient } from "#shared/bus/client.ts";
import type { Handlers } from "#shared/bus/types.ts";
import { CuriaError, toCuriaError } from "#shared/errors.ts";
import type { CaConfigBody } from "./core/ca-config.ts";
import type { Authority } from "./io/authority.ts";
import type { Leaves } from "./io/leaves.ts";
import type { RootsFeed } from "./io/roots-feed.ts";
import type { CadMetrics } from "./metrics.ts";

export interface CadParts {
  /** Only on servers. */
  authority: Authority | undefined;
  roots: RootsFeed;
  leaves: Leaves;
  state: BusClient;
  metrics: CadMetrics;
}

const json = (value: unknown) => Buffer.from(JSON.stringify(value));
/** Names the cad of the leader's node; a call that carries it is not passed on again. */
const atLeader = { target: "leader", daemon: "cad" } as const;

export function certificateHandlers(parts: CadParts): Handlers<typeof Certificates> {
  const { authority, roots, leaves, state, metrics } = parts;
  const servers = () => {
    if (authority !== undefined) return authority;
    throw new CuriaError("unimplemented", "a client node's cad does not sign");
  };
  return {
    async roots({ knownIndex, waitMs }) {
      const { index, body, pem } = await roots.answer(knownIndex, waitMs);
      return { index, bodyJson: json(body), pem };
    },
    async leaf({ service, knownIndex, waitMs, dnsSan, ipSan }) {
      const query = { service, knownIndex, waitMs, dnsSans: dnsSan, ipSans: ipSan };
      const { index, body } = await leaves.get(query);
      return { index, bodyJson: json(body) };
    },
    async sign({ csrPem }) {
      const startMs = performance.now();
      try {
        const { index, body, certPem } = await servers().sign(csrPem);
        metrics.signs.with({ result: "ok" }).add();
        return { index, bodyJson: json(body), certPem };
      } catch (error) {
        metrics.signs.with({ result: toCuriaError(error).code }).add();
        throw error;
      } finally {
        metrics.signSeconds.observe((performance.now() - startMs) / 1000);
      }
    },
    async getConfiguration(_request, call) {
      if (authority === undefined) {
        return await state.of(Certificates).getConfiguration({}, { ...atLeader, on: call });
      }
      const { index, body } = await authority.configuration();
      return { index, bodyJson: json(body) };
    },
    async setConfiguration(request, call) {
      if (authority === undefined || call.context.target !== atLeader.target) {
        return await state.of(Certificates).setConfiguration(request, { ...atLeader, on: call });
      }
      await authority.setConfiguration(readConfiguration(request.bodyJson));
      return {};
    },
  };
}

/** The leader's cad signs, whoever asks. */
export async function signAtLeader(state: BusClient, csrPem: string) {
  const { index, bodyJson } = await state.of(Certificates).sign({ csrPem }, atLeader);
  const body = JSON.parse(new TextDecoder().decode(bodyJson)) as Record<string, unknown>;
  return { index, body };
}

function readConfiguration(bytes: Uint8Array): Partial<CaConfigBody> {
  try {
    return JSON.parse(new TextDecoder().decode(bytes)) as Partial<CaConfigBody>;
  } catch (error) {
    throw new CuriaError("invalid-argument", `Request decode failed: ${(error as Error).message}`);
  }
}
