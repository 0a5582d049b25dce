// For tests: servers, clients and raw sockets on paths of their own, closed after each test.

import { expect } from "bun:test";
import { Frame as FrameMessage, type FrameInput } from "#proto/messages.js";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { CuriaError } from "../errors.ts";
import { BusClient } from "./client.ts";
import type { BusClientOptions, BusServerOptions } from "./options.ts";
import { BusServer } from "./server.ts";
import { plainTransport, type Wire } from "./transport.ts";
import type { Identity } from "./types.ts";

export const identity: Identity = {
  daemon: "test",
  release: "0.1.0",
  nodeId: "11111111-2222-3333-4444-555555555555",
  node: "n1",
  datacenter: "dc1",
};

export class Fixture {
  readonly #closing: (() => unknown)[] = [];

  /** For afterEach. */
  async close(): Promise<void> {
    for (const close of this.#closing.splice(0).reverse()) await close();
  }

  onClose(close: () => unknown): void {
    this.#closing.push(close);
  }

  dir(): string {
    const dir = mkdtempSync(join(tmpdir(), "curia-bus-"));
    this.onClose(() => rmSync(dir, { recursive: true, force: true }));
    return dir;
  }

  path(): string {
    return join(this.dir(), "callee.sock");
  }

  async server(
    path: string,
    serve: (server: BusServer) => void,
    options: Partial<BusServerOptions> = {},
  ): Promise<BusServer> {
    const server = new BusServer({ identity: { ...identity, daemon: "callee" }, ...options });
    serve(server);
    await server.listen({ path });
    this.onClose(() => server.stop(0));
    return server;
  }

  client(path: string, options: Partial<BusClientOptions> = {}): BusClient {
    const client = new BusClient({ addresses: [{ path }], daemon: "callee", identity, ...options });
    this.onClose(() => client.close());
    return client;
  }

  /** A peer that speaks bytes. */
  async raw(path: string): Promise<RawPeer> {
    let peer: RawPeer | undefined;
    await plainTransport.connect({ path }, (wire) => peer = new RawPeer(wire));
    this.onClose(() => peer!.wire.close());
    return peer!;
  }
}

export class RawPeer {
  readonly wire: Wire;
  readonly frames: FrameMessage[] = [];
  readonly closed: Promise<void>;
  #close!: () => void;
  #waiting: (() => void)[] = [];
  #bytes = Buffer.alloc(0);

  constructor(wire: Wire) {
    this.wire = wire;
    this.closed = new Promise((resolve) => this.#close = resolve);
  }

  onBytes(bytes: Uint8Array): void {
    this.#bytes = Buffer.concat([this.#bytes, bytes]);
    while (this.#bytes.length >= 4 && this.#bytes.length >= 4 + this.#bytes.readUInt32BE(0)) {
      const end = 4 + this.#bytes.readUInt32BE(0);
      this.frames.push(FrameMessage.decode(Uint8Array.from(this.#bytes.subarray(4, end))));
      this.#bytes = this.#bytes.subarray(end);
    }
    for (const wake of this.#waiting.splice(0)) wake();
  }

  onDrain(): void {}

  onWireClosed(): void {
    this.#close();
    for (const wake of this.#waiting.splice(0)) wake();
  }

  send(...frames: FrameInput[]): void {
    this.sendBytes(encodeFrames(...frames));
  }

  sendBytes(bytes: Uint8Array): void {
    expect(this.wire.write(bytes, 0, bytes.length)).toBe(bytes.length);
  }

  hello(more: object = {}): void {
    this.send({ hello: { version: 1, oldest: 1, purpose: "bus", ...identity, ...more } });
  }

  /** The first frame, received or to come, that satisfies. */
  async frame(satisfies: (frame: FrameMessage) => boolean): Promise<FrameMessage> {
    while (true) {
      const found = this.frames.find(satisfies);
      if (found !== undefined) return found;
      await new Promise<void>((resolve) => this.#waiting.push(resolve));
    }
  }
}

export function encodeFrames(...frames: FrameInput[]): Uint8Array {
  return Buffer.concat(frames.map((frame) => {
    const bytes = FrameMessage.encode(frame).finish();
    const length = Buffer.alloc(4);
    length.writeUInt32BE(bytes.length);
    return Buffer.concat([length, bytes]);
  }));
}

/** The CuriaError that a promise is rejected with. */
export async function failureOf(promise: Promise<unknown>): Promise<CuriaError> {
  const error = await promise.then(() => undefined, (thrown) => thrown);
  expect(error).toBeInstanceOf(CuriaError);
  return error;
}
