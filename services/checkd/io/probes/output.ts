// Output of a probe that may be longer than what is kept: the last bytes win.

/** Keeps the last bytes of what is written. */
export class TailBuffer {
  readonly #max: number;
  #chunks: Uint8Array[] = [];
  #held = 0;
  #written = 0;

  constructor(max: number) {
    this.#max = max;
  }

  get written(): number {
    return this.#written;
  }

  write(chunk: Uint8Array): void {
    this.#written += chunk.length;
    const kept = chunk.length > this.#max ? chunk.slice(chunk.length - this.#max) : chunk;
    this.#chunks.push(kept);
    this.#held += kept.length;
    while (this.#held - this.#chunks[0]!.length >= this.#max) {
      this.#held -= this.#chunks.shift()!.length;
    }
    // Many tiny writes must not become many tiny buffers.
    if (this.#chunks.length > 256) this.#chunks = [Buffer.concat(this.#chunks)];
  }

  text(): string {
    const all = Buffer.concat(this.#chunks);
    return all.subarray(Math.max(0, all.length - this.#max)).toString("utf8");
  }

  /** As scripts show it: with a head that says what is missing. */
  textWithHead(): string {
    if (this.#written <= this.#max) return this.text();
    return `Captured ${this.#max} of ${this.#written} bytes\n...\n${this.text()}`;
  }
}
