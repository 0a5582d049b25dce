// Commands to the replicated state.

import type { CommandInput, Outcome } from "#proto/messages.js";
import { State } from "#proto/services.ts";
import type { BusClient } from "#shared/bus/client.ts";
import { CuriaError, errorCodeName } from "#shared/errors.ts";

export interface WriteOptions {
  datacenter: string;
  token: string;
}

export class Writes {
  readonly #client: BusClient;
  readonly #timeoutMs: number;

  constructor(client: BusClient, timeoutMs: number) {
    this.#client = client;
    this.#timeoutMs = timeoutMs;
  }

  /** What came of the command. Throws when the state refused it. */
  async apply(command: CommandInput, options: WriteOptions): Promise<Outcome> {
    const outcome = await this.#client.of(State).apply(command, {
      token: options.token,
      datacenter: options.datacenter,
      timeoutMs: this.#timeoutMs,
    });
    if (outcome.errorCode === 0) return outcome;
    throw new CuriaError(errorCodeName(outcome.errorCode), outcome.error);
  }
}
