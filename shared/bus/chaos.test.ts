// A callee killed again and again under load: every write is answered, applied once, none lost.

import { afterEach, expect, test } from "bun:test";
import { State } from "#proto/services.ts";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { Fixture } from "./fixture.ts";

const fixture = new Fixture();
afterEach(() => fixture.close());

/** Applies each (client, sequence) once and notes it in a file before it answers, as the replicated
 *  state does; after a start it knows what was applied. */
const callee = `
  import { State } from "#proto/services.ts";
  import { existsSync, openSync, readFileSync, writeSync } from "node:fs";
  import { BusServer } from "#shared/bus/server.ts";
  const [path, journal, fuse] = process.argv.slice(-3);
  let left = Number(fuse);
  const applied = new Set(existsSync(journal)
    ? readFileSync(journal, "utf8").split("\\n").map((line) => line.split(" ")[0])
    : []);
  const file = openSync(journal, "a");
  const identity = { daemon: "raftd", release: "0", nodeId: "", node: "n", datacenter: "dc1" };
  const server = new BusServer({ identity });
  server.serve(State, {
    apply(command, { context: { client, sequence, floor } }) {
      if (!(floor > 0 && floor <= sequence)) throw new Error("floor " + floor);
      const id = client + "/" + sequence;
      if (!applied.has(id)) {
        applied.add(id);
        writeSync(file, id + " " + Buffer.from(command.kv.key).toString() + "\\n");
      }
      // The worst moment: noted, and not answered.
      if (--left === 0) process.kill(process.pid, "SIGKILL");
      return { ok: true, index: sequence };
    },
  });
  await server.listen({ path });
`;

test("no acknowledged write is lost or applied twice", async () => {
  const dir = fixture.dir();
  const path = join(dir, "raftd.sock");
  const journal = join(dir, "journal");
  const root = join(import.meta.dirname, "../..");
  const start = (fuse: number) =>
    Bun.spawn([process.execPath, "-e", callee, path, journal, String(fuse)], {
      cwd: root,
      stderr: "inherit",
    });
  let running = start(500);
  fixture.onClose(() => running.kill("SIGKILL"));
  const client = fixture.client(path);
  const state = client.of(State);
  let acknowledged = 0;
  let isOver = false;
  const writer = async (worker: number) => {
    for (let i = 0; !isOver; i++) {
      const outcome = await state.apply({ kv: { key: Buffer.from(`${worker}-${i}`) } });
      expect(outcome.ok).toBe(true);
      acknowledged++;
    }
  };
  const writers = Array.from({ length: 32 }, (_, worker) => writer(worker));
  for (let kill = 0; kill < 5; kill++) {
    await running.exited;
    running = start(kill < 4 ? 500 + kill : 0);
  }
  isOver = true;
  await Promise.all(writers);
  const keys = readFileSync(journal, "utf8").trim().split("\n").map((line) => line.split(" ")[1]!);
  expect(new Set(keys).size).toBe(keys.length);
  expect(keys.length).toBe(acknowledged);
  expect(client.counts.resends).toBeGreaterThan(0);
}, 30_000);
