// A stand-in for the name servers that `recursors` point to: answers from a zone written down in
// the recorded variants, over UDP and TCP.

import { ipBytes, packName, typeCode, uint16s } from "./dns-message.ts";
import type { UpstreamZone } from "./dns-catalog.ts";

export class Upstream {
  readonly #zone: UpstreamZone;
  readonly #close: (() => void)[] = [];
  asked: string[] = [];

  constructor(zone: UpstreamZone) {
    this.#zone = zone;
  }

  /** Opens both transports on one port, and returns it; 0 takes a free one. */
  async listen(port: number): Promise<number> {
    const udp = await Bun.udpSocket({
      hostname: "127.0.0.1",
      port,
      socket: {
        data: (socket, message, from, address) => {
          const reply = this.#reply(message, "udp");
          if (reply !== undefined) socket.send(reply, from, address);
        },
      },
    });
    const tcp = Bun.listen({
      hostname: "127.0.0.1",
      port: udp.port,
      socket: {
        data: (socket, chunk) => {
          const reply = this.#reply(chunk.subarray(2), "tcp");
          if (reply !== undefined) socket.write(Buffer.concat([uint16s(reply.length), reply]));
        },
      },
    });
    this.#close.push(() => udp.close(), () => tcp.stop(true));
    return udp.port;
  }

  close(): void {
    for (const close of this.#close) close();
  }

  #reply(message: Buffer, transport: "udp" | "tcp"): Buffer | undefined {
    let at = 12;
    let name = "";
    while (message[at] !== 0) {
      name += message.toString("latin1", at + 1, at + 1 + message[at]!) + ".";
      at += 1 + message[at]!;
    }
    this.asked.push(name);
    const question = message.subarray(12, at + 5);
    const type = message.readUInt16BE(at + 1);
    const entry = this.#zone[name.toLowerCase()] ?? this.#zone["*"] ?? { rcode: 3 };
    if (entry.drop === true) return undefined;
    const rows = (entry.records ?? []).filter(([, , kind]) =>
      entry.by_type !== true || kind === "CNAME" || typeCode(kind) === type
    );
    const isCut = entry.tc === true && transport === "udp";
    const bits = 0x8080 | (message.readUInt16BE(2) & 0x0110) | (isCut ? 0x0200 : 0);
    const header = uint16s(
      message.readUInt16BE(0),
      bits | (entry.rcode ?? 0),
      1,
      rows.length,
      0,
      0,
    );
    return Buffer.concat([header, question, ...rows.map((row) => packRecord(...row))]);
  }
}

function packRecord(owner: string, ttl: number, kind: string, value: string): Buffer {
  const content = kind === "TXT"
    ? Buffer.concat([Buffer.from([value.length]), Buffer.from(value)])
    : kind === "A" || kind === "AAAA"
    ? ipBytes(value)
    : packName(value);
  const fixed = uint16s(typeCode(kind), 1, ttl >>> 16, ttl & 0xffff, content.length);
  return Buffer.concat([packName(owner), fixed, content]);
}
