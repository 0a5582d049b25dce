import { afterEach, expect, test } from "bun:test";
import { Change, type ChangeInput } from "#proto/messages.js";
import { Random } from "#shared/random.ts";
import { newTouched, Tables, type Touched } from "#shared/view-tables.ts";
import { Catalog } from "../core/catalog.ts";
import { Responder } from "../core/responder.ts";
import { defaultDnsSettings } from "../core/settings.ts";
import { encodeQuestion } from "../core/wire/upstream.ts";
import { CatalogFeed, type FeedView } from "./feed.ts";

/** A watched copy whose changes the test makes. */
class TestView implements FeedView {
  tables = new Tables();
  isComplete = false;
  silentMs = 0;
  #listener: (touched: Touched) => void = () => {};

  onChange(listener: (touched: Touched) => void): () => void {
    this.#listener = listener;
    return () => {};
  }

  ages() {
    return { leaderContactMs: 0, knownLeader: true, disconnectedMs: this.silentMs };
  }

  /** One index's changes, as they come off the bus. */
  change(...changes: ChangeInput[]): void {
    const touched = newTouched(!this.isComplete);
    for (const input of changes) {
      this.tables.apply(Change.decode(Change.encode(input).finish()), touched);
    }
    this.isComplete = true;
    this.#listener(touched);
  }

  resync(...changes: ChangeInput[]): void {
    this.tables = new Tables();
    this.isComplete = false;
    this.change(...changes);
  }
}

let feed: CatalogFeed | undefined;
afterEach(() => feed?.stop());

function setUp() {
  const view = new TestView();
  const contact = { complete: false, silentMs: 0, knownLeader: false, lastContactMs: 0 };
  const random = new Random(1);
  const responder = new Responder(defaultDnsSettings, new Catalog(), contact, random);
  feed = new CatalogFeed(view, responder);
  const arrival = { transport: "udp", clientAddress: "127.0.0.1", wallSeconds: 1 } as const;
  const rcode = (name: string, type = 1) => {
    const message = encodeQuestion(1, name, type)!;
    if (responder.answerKnown(message, arrival) > 0) return responder.out[3]! & 15;
    const handled = responder.handle(message, arrival);
    return handled.kind === "reply" ? handled.rcode : -1;
  };
  const instance: ChangeInput[] = [
    { node: { node: "n1", address: "10.0.0.1", datacenter: "dc1" } },
    { service: { node: "n1", id: "web1", service: "web", port: 80 } },
    { check: { node: "n1", checkId: "c", serviceId: "web1", status: "passing" } },
  ];
  return { view, rcode, instance };
}

const [noError, servFail, nxDomain] = [0, 2, 3];

test("nothing is said before the first whole view", () => {
  const { view, rcode, instance } = setUp();
  expect(rcode("web.service.consul.")).toBe(servFail);
  view.change(...instance);
  expect(rcode("web.service.consul.")).toBe(noError);
  expect(rcode("other.service.consul.")).toBe(nxDomain);
});

test("a failing check takes an instance out, a passing one back in", () => {
  const { view, rcode, instance } = setUp();
  view.change(...instance);
  const status = (status: string) =>
    view.change({ check: { node: "n1", checkId: "c", serviceId: "web1", status } });
  for (let round = 0; round < 3; round++) {
    for (let again = 0; again < 3; again++) expect(rcode("web.service.consul.")).toBe(noError);
    status("critical");
    for (let again = 0; again < 3; again++) expect(rcode("web.service.consul.")).toBe(nxDomain);
    status("passing");
  }
});

test("deletions come through: check, service, node", () => {
  const { view, rcode, instance } = setUp();
  view.change(...instance);
  view.change({ deleted: true, service: { node: "n1", id: "web1" } });
  expect(rcode("web.service.consul.")).toBe(nxDomain);
  expect(rcode("n1.node.consul.")).toBe(noError);
  view.change({ deleted: true, node: { node: "n1" } });
  expect(rcode("n1.node.consul.")).toBe(nxDomain);
});

test("a resync replaces all rows at once", () => {
  const { view, rcode, instance } = setUp();
  view.change(...instance);
  view.resync({ node: { node: "n2", address: "10.0.0.2", datacenter: "dc1" } });
  expect(rcode("n1.node.consul.")).toBe(nxDomain);
  expect(rcode("n2.node.consul.")).toBe(noError);
});

test("prepared queries, mesh endpoints and virtual addresses come from the state's documents", () => {
  const { view, rcode, instance } = setUp();
  const json = (value: unknown) => new TextEncoder().encode(JSON.stringify(value));
  const query = { ID: "q-1", Name: "fast", Service: { Service: "web" } };
  const virtual = { Service: { ServiceName: { Name: "web" } }, IP: "0.0.0.7" };
  const proxyJson = json({ DestinationServiceName: "web" });
  view.change(
    ...instance,
    { document: { kind: "prepared-query", id: "q-1", bodyJson: json(query) } },
    { document: { kind: "service-virtual-ip", id: "web", bodyJson: json(virtual) } },
    { service: { node: "n1", id: "p", service: "web-proxy", kind: "connect-proxy", proxyJson } },
  );
  const names = ["fast.query", "web.virtual", "web.connect"];
  for (const name of names) expect(rcode(`${name}.consul.`)).toBe(noError);
  view.change({ deleted: true, document: { kind: "prepared-query", id: "q-1" } });
  view.change({ document: { kind: "prepared-query", id: "q-2", bodyJson: json("{") } });
  expect(rcode("fast.query.consul.")).toBe(nxDomain);
});
