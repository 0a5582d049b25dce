// Read routes: parameters, then the plan of the endpoint, then an answer at once or after a wait.

import type { EffectiveConfig } from "#shared/config/types.ts";
import {
  parseReadOptions,
  type ReadDefaults,
  type ReadOptions,
  waitWithJitter,
} from "../core/params.ts";
import type { Call, Handler } from "./call.ts";
import { serveBlocking } from "./reads/blocking.ts";
import type { HotReads } from "./reads/hot-reads.ts";
import type { ReadPlan } from "./reads/plan.ts";
import { asReadFailure, type Reads } from "./reads/reads.ts";

export interface ReadRouteOptions {
  reads: Reads;
  hot: HotReads;
  defaults: ReadDefaults;
  defaultWaitMs: number;
  maxWaitMs: number;
}

export type PlanOf = (call: Call, options: ReadOptions) => ReadPlan;

export class ReadRoutes {
  readonly #options: ReadRouteOptions;

  constructor(options: ReadRouteOptions) {
    this.#options = options;
  }

  /** What a write takes of the same parameters. */
  optionsOf(call: Call): ReadOptions {
    return parseReadOptions(call.query, call, this.#options.defaults, false);
  }

  get reads(): Reads {
    return this.#options.reads;
  }

  handler(planOf: PlanOf, isDiscovery = false): Handler {
    return async (call) => {
      const { reads, hot, defaults } = this.#options;
      const options = parseReadOptions(call.query, call, defaults, isDiscovery);
      const plan = planOf(call, options);
      if (options.index > 0) {
        const { defaultWaitMs, maxWaitMs } = this.#options;
        const waitMs = waitWithJitter(options.waitMs, defaultWaitMs, maxWaitMs, Math.random());
        return await serveBlocking(reads, plan, options, waitMs, call.exchange);
      }
      const answer = await reads.serve(plan, options);
      if (!options.isCached && options.staleMaxMs === 0) {
        const entry = reads.cache.find(plan.key, performance.now());
        if (entry?.isTrue) hot.learn(call.exchange, entry, options.mode);
      }
      return answer;
    };
  }
}

/** A plan may be refused while it is made: shown like a failed read where the endpoint does so. */
export function planning(failsWithHeaders: boolean, make: () => ReadPlan): ReadPlan {
  try {
    return make();
  } catch (error) {
    throw asReadFailure({ failsWithHeaders } as ReadPlan, error);
  }
}

export function readDefaults(config: EffectiveConfig): ReadDefaults {
  return {
    datacenter: config.node.datacenter,
    token: config.acl.enabled ? config.acl.tokens.default : "",
    discoveryStaleMaxMs: config.http.discoveryMaxStaleMs,
    useCache: config.http.useCache,
    usesTokens: config.acl.enabled,
  };
}
