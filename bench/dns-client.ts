// A resolver that asks one DNS server over UDP, as often as wanted, and says when answers came.

export class DnsClient {
  readonly #waiting = new Map<number, (answers: number) => void>();
  #socket: Bun.udp.Socket<"buffer"> | undefined;
  #nextId = 0;
  readonly #address: string;
  readonly #port: number;

  constructor(address: string, port = 8600) {
    this.#address = address;
    this.#port = port;
  }

  async open(): Promise<this> {
    this.#socket = await Bun.udpSocket({
      socket: {
        data: (_, reply) => {
          const id = reply.readUInt16BE(0);
          this.#waiting.get(id)?.(reply.readUInt16BE(6));
          this.#waiting.delete(id);
        },
        // Nobody listens there yet.
        error: () => {},
      },
    });
    return this;
  }

  close(): void {
    this.#socket?.close();
  }

  /** The number of records in the answer; -1 when none came in time. */
  ask(name: string, timeoutMs: number): Promise<number> {
    const id = this.#nextId = (this.#nextId + 1) & 0xffff;
    return new Promise((resolve) => {
      const timer = setTimeout(() => {
        this.#waiting.delete(id);
        resolve(-1);
      }, timeoutMs);
      this.#waiting.set(id, (answers) => {
        clearTimeout(timer);
        resolve(answers);
      });
      try {
        this.#socket!.send(question(id, name), this.#port, this.#address);
      } catch {
        // ICMP's word on an earlier question: this one was not sent.
      }
    });
  }

  /** Asks again and again until the answer has a record; the time when it came. */
  async untilAnswered(name: string, pauseMs: number, limitMs: number): Promise<number> {
    const endMs = performance.now() + limitMs;
    while (performance.now() < endMs) {
      // A lost question is asked anew at once: a restart must not be rounded up to a timeout.
      if (await this.ask(name, 5) > 0) return performance.now();
      if (pauseMs > 0) await Bun.sleep(pauseMs);
    }
    throw new Error(`${this.#address} did not answer ${name} within ${limitMs} ms`);
  }
}

function question(id: number, name: string): Uint8Array {
  const labels = name.split(".").flatMap((label) => [label.length, ...Buffer.from(label)]);
  return Uint8Array.from([
    id >>> 8,
    id & 255,
    1,
    0,
    0,
    1,
    0,
    0,
    0,
    0,
    0,
    0,
    ...labels,
    0,
    0,
    1,
    0,
    1,
  ]);
}
