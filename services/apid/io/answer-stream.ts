// An answer of unknown length, chunked where the client can take that.

export interface StreamWire {
  readonly isDrained: boolean;
  onDrained: (() => void) | undefined;
  /** False: the socket did not take all of it yet. */
  write(data: string | Uint8Array): boolean;
  hangUp(): void;
}

/** The writing end of an answer of unknown length. */
export class AnswerStream {
  readonly #isAborted: () => boolean;
  readonly #wire: StreamWire;
  readonly #isChunked: boolean;
  readonly #onEnd: () => void;
  #isEnded = false;

  constructor(
    isAborted: () => boolean,
    wire: StreamWire,
    isChunked: boolean,
    onEnd: () => void,
  ) {
    this.#isAborted = isAborted;
    this.#wire = wire;
    this.#isChunked = isChunked;
    this.#onEnd = onEnd;
  }

  get isClosed(): boolean {
    return this.#isEnded || this.#isAborted();
  }

  async write(bytes: Uint8Array): Promise<void> {
    if (this.isClosed || bytes.length === 0) return;
    let isSent: boolean;
    if (this.#isChunked) {
      const size = Buffer.from(`${bytes.length.toString(16)}\r\n`);
      isSent = this.#wire.write(Buffer.concat([size, bytes, Buffer.from("\r\n")]));
    } else isSent = this.#wire.write(bytes);
    if (isSent || this.#wire.isDrained) return;
    await new Promise<void>((resolve) => this.#wire.onDrained = resolve);
    this.#wire.onDrained = undefined;
  }

  end(): void {
    if (this.#isEnded) return;
    this.#isEnded = true;
    if (this.#isChunked) this.#wire.write("0\r\n\r\n");
    this.#onEnd();
  }

  /** Something broke midway: the client must not take the answer for whole. */
  abort(): void {
    this.#isEnded = true;
    this.#wire.hangUp();
  }
}
