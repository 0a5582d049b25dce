import { expect, test } from "bun:test";
import {
  type ConsulEvent,
  decodeEvent,
  encodeEvent,
  EventRing,
  filterRefusal,
  isForNode,
  isForServices,
} from "./user-event.ts";

const event: ConsulEvent = {
  id: "4561672b-dc22-4a0f-7585-2ff00d16e326",
  name: "deploy",
  payload: new TextEncoder().encode("payload-1"),
  nodeFilter: "fixture",
  serviceFilter: "",
  tagFilter: "",
  version: 1,
  lTime: 2,
};

test("the envelope is Consul's, byte for byte", () => {
  const recorded =
    "85a24944d92434353631363732622d646332322d346130662d373538352d326666303064313665" +
    "333236a16ea66465706c6f79a26e66a766697874757265a170c4097061796c6f61642d31a17601";
  expect(encodeEvent(event).toHex()).toBe(recorded);
  expect(decodeEvent(Uint8Array.fromHex(recorded), 2)).toEqual(event);
  expect(decodeEvent(Uint8Array.of(0x85, 1), 2)).toBeUndefined();
});

test("filters are expressions over node name, service id and tags", () => {
  expect(isForNode(event, "fixture-1")).toBe(true);
  expect(isForNode(event, "other")).toBe(false);
  const services = [{ id: "web-1", tags: ["v1"] }, { id: "db", tags: ["v2"] }];
  const wants = (serviceFilter: string, tagFilter: string) =>
    isForServices({ ...event, serviceFilter, tagFilter }, services);
  expect([wants("", ""), wants("^web", ""), wants("api", "")]).toEqual([true, true, false]);
  expect([wants("web", "v1"), wants("web", "v2")]).toEqual([true, false]);
});

test("a filter that cannot be used is refused with its name", () => {
  expect(filterRefusal({ ...event, tagFilter: "x" })).toContain("without service filter");
  expect(filterRefusal({ ...event, nodeFilter: "(" })).toContain("Invalid node filter");
  expect(filterRefusal(event)).toBeUndefined();
});

test("the ring keeps the last 256", () => {
  const ring = new EventRing();
  for (let i = 0; i < 300; i++) ring.add({ ...event, lTime: i, name: i % 2 ? "odd" : "even" });
  expect([ring.list("").length, ring.list("")[0]!.lTime]).toEqual([256, 44]);
  expect(ring.list("odd").length).toBe(128);
});
