import { afterEach, describe, expect, test } from "bun:test";
import type { ChangeBatchInput, SubscribeRequest } from "#proto/messages.js";
import { State } from "#proto/services.ts";
import { Fixture } from "./bus/fixture.ts";
import type { OutStream } from "./bus/types.ts";
import { silentLog } from "./bus/counts.ts";
import type { Clock } from "./machine.ts";
import { StateView, type Touched } from "./view.ts";

const fixture = new Fixture();
afterEach(() => fixture.close());

class Source {
  readonly requests: SubscribeRequest[] = [];
  #stream: OutStream<ChangeBatchInput> | undefined;
  #opened = Promise.withResolvers<void>();

  open(request: SubscribeRequest, stream: OutStream<ChangeBatchInput>): void {
    this.requests.push(request);
    this.#stream = stream;
    this.#opened.resolve();
    this.#opened = Promise.withResolvers();
  }

  get opened(): Promise<void> {
    return this.#opened.promise;
  }

  send(...batches: ChangeBatchInput[]): void {
    for (const batch of batches) this.#stream!.write(batch);
  }

  breakOff(): void {
    this.#stream!.end();
  }
}

async function open() {
  const path = fixture.path();
  const source = new Source();
  await fixture.server(path, (server) =>
    server.serve(State, {
      subscribe: (request, _call, stream) => source.open(request, stream),
    }));
  let nowMs = 1000;
  const clock: Clock = { nowMs: () => nowMs, wallMs: () => 0 };
  const view = new StateView({
    client: fixture.client(path),
    topics: ["catalog"],
    log: silentLog,
    clock,
  });
  fixture.onClose(() => view.stop());
  const opened = source.opened;
  view.start();
  await opened;
  return {
    source,
    view,
    advance: (ms: number) => nowMs += ms,
    changed: () =>
      new Promise<Touched>((resolve) => {
        const stop = view.onChange((touched) => {
          stop();
          resolve(touched);
        });
      }),
  };
}

const node = (name: string, address = "10.0.0.1") => ({ node: { node: name, address } });
const service = (nodeName: string, id: string, name = "web") => ({
  service: { node: nodeName, id, service: name },
});
const check = (nodeName: string, checkId: string, serviceId = "", status = "passing") => ({
  check: { node: nodeName, checkId, serviceId, status },
});

const first: ChangeBatchInput[] = [
  { resync: true, index: 10, generation: 1, changes: [node("n1"), service("n1", "web1")] },
  { index: 10, generation: 1, changes: [check("n1", "serfHealth")] },
  { index: 10, generation: 1, viewComplete: true },
];

describe("a view", () => {
  test("is whole once all its first rows are there", async () => {
    const { source, view, changed } = await open();
    expect(source.requests[0]).toMatchObject({ topics: ["catalog"], afterIndex: 0 });
    const whole = changed();
    source.send(...first.slice(0, 2));
    expect(view.isComplete).toBe(false);
    source.send(first[2]!);
    expect((await whole).isWhole).toBe(true);
    expect(view).toMatchObject({ isComplete: true, index: 10, generation: 1 });
    expect([...view.tables.nodes.keys()]).toEqual(["n1"]);
    expect([...view.tables.servicesByName.get("web")!.keys()]).toEqual(["n1\0web1"]);
    expect(view.tables.checksByNode.get("n1")!.get("serfHealth")!.status).toBe("passing");
  });

  test("applies changes and tells which services they touch", async () => {
    const { source, view, changed } = await open();
    source.send(...first);
    await changed();
    const touchedBy = async (...changes: NonNullable<ChangeBatchInput["changes"]>) => {
      const next = changed();
      source.send({ index: view.index + 1, generation: 1, changes });
      const { nodes, services } = await next;
      return { nodes: [...nodes], services: [...services] };
    };
    expect(await touchedBy(check("n1", "serfHealth", "", "critical")))
      .toEqual({ nodes: ["n1"], services: ["web"] });
    expect(await touchedBy(service("n1", "db1", "DB"))).toEqual({
      nodes: ["n1"],
      services: ["db"],
    });
    expect(await touchedBy(check("n1", "c", "db1", "warning")))
      .toEqual({ nodes: ["n1"], services: ["db"] });
    expect(await touchedBy(node("n1", "10.9.9.9"))).toEqual({
      nodes: ["n1"],
      services: ["web", "db"],
    });
    expect(await touchedBy(service("n1", "web1", "www")))
      .toEqual({ nodes: ["n1"], services: ["web", "www"] });
    expect(view.tables.servicesByName.has("web")).toBe(false);
    expect(await touchedBy({ deleted: true, ...service("n1", "web1", "") }))
      .toEqual({ nodes: ["n1"], services: ["www"] });
    expect(await touchedBy({ deleted: true, ...check("n1", "c") }))
      .toEqual({ nodes: ["n1"], services: ["db"] });
    expect([...view.tables.servicesByNode.get("n1")!.keys()]).toEqual(["db1"]);
    expect(view.index).toBe(17);
  });

  test("goes on after its position when the stream breaks, with its rows meanwhile", async () => {
    const { source, view, changed } = await open();
    source.send(...first);
    await changed();
    const opened = source.opened;
    source.breakOff();
    await opened;
    expect(source.requests[1]).toMatchObject({ afterIndex: 10, generation: 1 });
    expect(view.tables.nodes.size).toBe(1);
    const next = changed();
    source.send({ index: 12, generation: 1, changes: [node("n2")] });
    expect((await next).isWhole).toBe(false);
    expect([...view.tables.nodes.keys()]).toEqual(["n1", "n2"]);
  });

  test("keeps its old rows through a resync until the new ones are whole", async () => {
    const { source, view, changed } = await open();
    source.send(...first);
    await changed();
    source.send({ resync: true, index: 5, generation: 2, changes: [node("other")] });
    // The answer to a bookmark shows that the batch before it has been taken.
    source.send({ bookmark: { index: 99, knownLeader: true, lastContactMs: 7 } });
    while (view.ages().knownLeader === false) await new Promise((r) => setImmediate(r));
    expect([...view.tables.nodes.keys()]).toEqual(["n1"]);
    expect(view).toMatchObject({ index: 10, generation: 1 });
    const next = changed();
    source.send({ index: 5, generation: 2, viewComplete: true });
    expect((await next).isWhole).toBe(true);
    expect([...view.tables.nodes.keys()]).toEqual(["other"]);
    expect(view).toMatchObject({ index: 5, generation: 2 });
  });

  test("throws away the half of a first view that broke off", async () => {
    const { source, view, changed } = await open();
    source.send(first[0]!);
    const opened = source.opened;
    source.breakOff();
    await opened;
    expect(source.requests[1]).toMatchObject({ afterIndex: 0 });
    const whole = changed();
    source.send({ index: 11, generation: 1, changes: [node("n2")], viewComplete: true });
    await whole;
    expect([...view.tables.nodes.keys()]).toEqual(["n2"]);
  });

  test("knows its two ages", async () => {
    const { source, view, advance } = await open();
    source.send({ bookmark: { index: 1, knownLeader: true, lastContactMs: 40 } });
    while (!view.ages().knownLeader) await new Promise((resolve) => setImmediate(resolve));
    expect(view.ages()).toEqual({ leaderContactMs: 40, knownLeader: true, disconnectedMs: 0 });
    advance(2_000);
    expect(view.ages()).toEqual({ leaderContactMs: 2_040, knownLeader: true, disconnectedMs: 0 });
    advance(2_000);
    expect(view.ages().disconnectedMs).toBe(4_000);
  });

  test("owns the bytes of its rows", async () => {
    const { source, view, changed } = await open();
    const whole = changed();
    const proxyJson = Buffer.from('{"DestinationServiceName":"db"}');
    source.send({
      index: 1,
      generation: 1,
      changes: [{ service: { node: "n1", id: "p", service: "p", proxyJson } }],
      viewComplete: true,
    });
    await whole;
    const row = view.tables.servicesByNode.get("n1")!.get("p")!;
    expect(Buffer.from(row.proxyJson).equals(proxyJson)).toBe(true);
    expect(row.proxyJson.buffer.byteLength).toBe(proxyJson.length);
  });
});
