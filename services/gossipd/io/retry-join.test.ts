// Retry-join against pools on real loopback sockets.
import { afterEach, expect, test } from "bun:test";
import { Random } from "#shared/random.ts";
import { consulVersions, lanProfile } from "../core/settings.ts";
import { MemberPool, type PoolLog } from "./member-pool.ts";
import { RetryJoin, type RetryJoinOptions } from "./retry-join.ts";

const closers: (() => unknown)[] = [];
afterEach(async () => {
  for (const close of closers.splice(0)) await close();
});

class Heard implements PoolLog {
  readonly lines: { level: string; fields: object; message: string }[] = [];
  onLine: (message: string) => void = () => {};

  #add(level: string, fields: object, message: string): void {
    this.lines.push({ level, fields, message });
    this.onLine(message);
  }
  debug = (fields: object, message: string) => this.#add("debug", fields, message);
  info = (fields: object, message: string) => this.#add("info", fields, message);
  warn = (fields: object, message: string) => this.#add("warn", fields, message);
  error = (fields: object, message: string) => this.#add("error", fields, message);

  failures(): string[][] {
    return this.lines.flatMap(({ message, fields }) =>
      message === "join failed, will retry" ? [(fields as { errors: string[] }).errors] : []
    );
  }
}

async function openPool(name: string, log: PoolLog, bindPort = 0): Promise<MemberPool> {
  const pool = await MemberPool.open({
    settings: {
      ...lanProfile,
      tcpTimeoutMs: 1_000,
      name,
      address: Uint8Array.of(127, 0, 0, 1),
      port: 0,
      tags: new Map(),
      versions: consulVersions,
      admission: { kind: "open" },
    },
    bindAddress: "127.0.0.1",
    bindPort,
    random: new Random(1),
    poolName: "lan",
    log,
  });
  closers.push(() => pool.stop());
  return pool;
}

/** A node that tries these addresses; resolves to how it ended. */
async function trial(
  addresses: (ownPort: number) => string[],
  options: Partial<RetryJoinOptions> = {},
  onFailure: () => void = () => {},
) {
  const log = new Heard();
  const pool = await openPool("newcomer", log);
  const end = await new Promise<Error | "joined">((resolve) => {
    log.onLine = (message) => {
      if (message === "join failed, will retry") onFailure();
      if (message === "join completed") resolve("joined");
    };
    const retry = new RetryJoin({
      pool,
      poolName: "lan",
      addresses: addresses(pool.loop.port),
      intervalMs: 10,
      attemptsMax: 0,
      advertised: "127.0.0.1",
      log,
      exhausted: resolve,
      ...options,
    });
    closers.push(() => retry.stop());
    retry.start();
  });
  return { end, log, pool };
}

test("it goes on until somebody answers, by name, program or address", async () => {
  const forms = [
    (port: number) => `127.0.0.1:${port}`,
    (port: number) => `localhost:${port}`,
    (port: number) => `exec=echo 127.0.0.1:${port}`,
    (port: number) => `target/127.0.0.1:${port}`,
  ];
  for (const form of forms) {
    const first = await openPool("target", new Heard());
    const { port } = first.loop;
    await first.stop();
    let target: Promise<MemberPool> | undefined;
    const { end, log, pool } = await trial(() => [form(port)], {}, () => {
      target ??= openPool("target", new Heard(), port);
    });
    expect(end).toBe("joined");
    expect(log.failures()[0]!.join()).toContain("connection refused");
    expect(pool.members().map(({ name }) => name).sort()).toEqual(["newcomer", "target"]);
    await (await target!).stop();
  }
}, 20_000);

test(
  "a provider that needs a cloud is refused by name, and what can be tried still is",
  async () => {
    const target = await openPool("target", new Heard());
    const aws = "provider=aws tag_key=consul tag_value=server";
    const both = await trial(() => [aws, `127.0.0.1:${target.loop.port}`]);
    expect(both.end).toBe("joined");

    const alone = await trial(() => [aws, "provider=gce zone_pattern=x"], { attemptsMax: 2 });
    expect((alone.end as Error).message).toBe("max join LAN retry exhausted, exiting");
    expect(alone.log.failures().length).toBe(2);
    for (const errors of alone.log.failures()) {
      expect(errors).toEqual([
        expect.stringContaining('discovery provider "aws" is not supported'),
        expect.stringContaining('discovery provider "gce" is not supported'),
      ]);
    }
  },
  20_000,
);

test("a list that names only ourselves is done: somebody has to be the first", async () => {
  const { end, pool } = await trial((port) => [`127.0.0.1:${port}`]);
  expect([end, pool.members().length]).toEqual(["joined", 1]);
}, 20_000);
