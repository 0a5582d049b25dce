import { describe, expect, test } from "bun:test";
import { Random } from "#shared/random.ts";
import { Balance } from "./balance.ts";
import type { Server } from "./servers.ts";

const servers = ["a", "b", "c"].map((id): Server => ({
  id,
  node: id,
  datacenter: "dc1",
  address: "10.0.0.1",
  port: 8300,
}));

describe("the server of a caller", () => {
  test("stays the same while it is sound", () => {
    const balance = new Balance(new Random(1));
    const first = balance.pick(1, servers, 0);
    for (let nowMs = 0; nowMs < 100_000; nowMs += 1000) {
      expect(balance.pick(1, servers, nowMs)).toBe(first);
    }
  });

  test("is the least used one, so that callers spread evenly", () => {
    const balance = new Balance(new Random(2));
    const counts = new Map<string, number>();
    for (let caller = 0; caller < 30; caller++) {
      const { id } = balance.pick(caller, servers, 0)!;
      counts.set(id, (counts.get(id) ?? 0) + 1);
    }
    expect([...counts.values()]).toEqual([10, 10, 10]);
  });

  test("differs between nodes with one caller each", () => {
    const firsts = new Set(
      Array.from(
        { length: 20 },
        (_, seed) => new Balance(new Random(seed)).pick(1, servers, 0)!.id,
      ),
    );
    expect(firsts.size).toBe(3);
  });

  test("changes when it fails, and the failed one is avoided for a while", () => {
    const balance = new Balance(new Random(3));
    const first = balance.pick(1, servers, 0)!;
    balance.failed(first.id, 0);
    for (let caller = 1; caller < 50; caller++) {
      expect(balance.pick(caller, servers, 1_999)!.id).not.toBe(first.id);
    }
    const later = Array.from({ length: 50 }, (_, i) => balance.pick(100 + i, servers, 2_000)!.id);
    expect(later).toContain(first.id);
  });

  test("is a failed one when all have failed, and none when there are none", () => {
    const balance = new Balance(new Random(4));
    for (const server of servers) balance.failed(server.id, 0);
    expect(balance.pick(1, servers, 1)).toBeDefined();
    expect(balance.pick(1, [], 1)).toBeUndefined();
  });

  test("is dealt anew by rebalancing, so that a new server gets its share", () => {
    const balance = new Balance(new Random(5));
    for (let caller = 0; caller < 30; caller++) balance.pick(caller, servers.slice(0, 2), 0);
    const moved = balance.rebalance(servers, 0);
    expect(moved.length).toBeGreaterThan(0);
    const counts = new Map<string, number>();
    for (let caller = 0; caller < 30; caller++) {
      const { id } = balance.pick(caller, servers, 0)!;
      counts.set(id, (counts.get(id) ?? 0) + 1);
    }
    expect([...counts.values()]).toEqual([10, 10, 10]);
  });

  test("is forgotten with the caller", () => {
    const balance = new Balance(new Random(6));
    balance.pick(1, servers, 0);
    balance.released(1);
    expect(balance.rebalance(servers, 0)).toEqual([]);
  });
});
