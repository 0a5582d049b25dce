// When a registration goes to the disk: after the push that carries it. Both wait for the same disk,
// and who looks for the service waits for the push alone. A catalog that does not answer soon holds
// no write up.

const pushHeadStartMs = 25;

export class WriteTurns {
  #turn: Promise<unknown> = Promise.resolve();

  /** Writes that are ordered from now on wait for this push, for a short while at most. */
  pushing(push: Promise<unknown>): void {
    const headStart = Promise.race([push, Bun.sleep(pushHeadStartMs)]);
    this.#turn = Promise.allSettled([this.#turn, headStart]);
  }

  /** In the order in which they were asked for. */
  write(act: () => Promise<void>): Promise<void> {
    return this.#turn.then(act);
  }
}
