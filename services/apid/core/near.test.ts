import { expect, test } from "bun:test";
import { Coordinate } from "#proto/messages.js";
import { byDistance } from "./near.ts";

const at = (datacenter: string, node: string, x: number) => ({
  datacenter,
  coordinate: Coordinate.create({ node, vec: [x, 0], height: 0.001 }),
});
const servers = ["dc1/a", "near/a", "near/b", "near/c", "far/a", "dark/a", "blind/a"].map(
  (text) => {
    const [datacenter, node] = text.split("/") as [string, string];
    return { datacenter, node };
  },
);
const from = { datacenter: "dc1", node: "a" };

test("datacenters are ordered by the median way to their servers, unknown ones last by name", () => {
  const coordinates = [
    at("dc1", "a", 0),
    at("far", "a", 0.2),
    // One odd server does not make its datacenter far, nor near.
    at("near", "a", 0.1),
    at("near", "b", 0.15),
    at("near", "c", 9),
  ];
  expect(byDistance(servers, coordinates, from)).toEqual(["near", "far", "blind", "dark"]);
});

test("without an own coordinate the order is by name", () => {
  expect(byDistance(servers, [at("far", "a", 1)], from)).toEqual(["blind", "dark", "far", "near"]);
});
