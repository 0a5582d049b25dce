// Logical time (Lamport 1978): orders what happened without clocks.

export class LamportClock {
  #time = 0;

  get time(): number {
    return this.#time;
  }

  increment(): number {
    return ++this.#time;
  }

  /** Having seen `time`, ours must be later. */
  witness(time: number): void {
    if (time >= this.#time) this.#time = time + 1;
  }
}
