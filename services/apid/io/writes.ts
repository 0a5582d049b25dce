// Commands to the replicated state.

import { randomUUID } from "node:crypto";
import type { CommandInput, Outcome } from "#proto/messages.js";
import { State } from "#proto/services.ts";
import type { BusClient } from "#shared/bus/client.ts";
import { CuriaError, errorCodeName } from "#shared/errors.ts";
import { WriteNumbers } from "../core/write-numbers.ts";

export interface WriteOptions {
  datacenter: string;
  token: string;
}

export class Writes {
  readonly #client: BusClient;
  readonly #timeoutMs: number;
  /** By datacenter: each state counts for itself. */
  readonly #numbers = new Map<string, WriteNumbers>();

  constructor(client: BusClient, timeoutMs: number) {
    this.#client = client;
    this.#timeoutMs = timeoutMs;
  }

  /** What came of the command. Throws when the state refused it. */
  async apply(command: CommandInput, options: WriteOptions): Promise<Outcome> {
    const numbers = this.#numbersOf(options.datacenter);
    const number = numbers.begin(performance.now());
    let outcome: Outcome;
    try {
      outcome = await this.#client.of(State).apply(command, {
        token: options.token,
        datacenter: options.datacenter,
        timeoutMs: this.#timeoutMs,
        context: { ...number },
      });
    } catch (error) {
      numbers.end(number, "none");
      throw error;
    }
    const code = outcome.errorCode === 0 ? undefined : errorCodeName(outcome.errorCode);
    numbers.end(number, code === "outcome-unknown" ? "forgotten" : "outcome");
    if (code !== undefined) throw new CuriaError(code, outcome.error);
    return outcome;
  }

  #numbersOf(datacenter: string): WriteNumbers {
    let numbers = this.#numbers.get(datacenter);
    if (numbers === undefined) {
      numbers = new WriteNumbers(randomUUID);
      this.#numbers.set(datacenter, numbers);
    }
    return numbers;
  }
}
