// The numbers that make a resent write apply once (proto/envelope.proto: client, sequence, floor).
// The state knows a client from its first outcome on, and forgets one that was silent for long:
// so a floor is only told once there was an outcome, and a client that was idle becomes another.

export interface WriteNumber {
  readonly client: string;
  readonly sequence: number;
  readonly floor: number;
}

/** Much less than the time after which the state forgets a client. */
const idleMs = 30_000;

export class WriteNumbers {
  readonly #newId: () => string;
  #client: string;
  #next = 1;
  #floor = 1;
  #isKnown = false;
  #open = 0;
  #usedAtMs = -Infinity;
  readonly #finished = new Set<number>();

  constructor(newId: () => string) {
    this.#newId = newId;
    this.#client = newId();
  }

  begin(nowMs: number): WriteNumber {
    if (this.#open === 0 && nowMs - this.#usedAtMs > idleMs) this.#renew();
    this.#usedAtMs = nowMs;
    this.#open++;
    const floor = this.#isKnown ? this.#floor : 1;
    return { client: this.#client, sequence: this.#next++, floor };
  }

  /** `outcome`: the state answered; `none`: somebody else did, or nobody; `forgotten`: the state
   *  does not know this client any more. */
  end(number: WriteNumber, what: "outcome" | "none" | "forgotten"): void {
    if (number.client !== this.#client) return;
    this.#open--;
    if (what === "forgotten") return this.#renew();
    if (what === "outcome") this.#isKnown = true;
    this.#finished.add(number.sequence);
    while (this.#finished.delete(this.#floor)) this.#floor++;
  }

  #renew(): void {
    this.#client = this.#newId();
    this.#next = 1;
    this.#floor = 1;
    this.#open = 0;
    this.#isKnown = false;
    this.#finished.clear();
  }
}
