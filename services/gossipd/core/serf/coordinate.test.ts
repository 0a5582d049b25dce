import { expect, test } from "bun:test";
import { Random } from "#shared/random.ts";
import { CoordinateModel, distanceSeconds, originCoordinate } from "./coordinate.ts";

test("two nodes learn the round trip between them", () => {
  const a = new CoordinateModel(new Random(1));
  const b = new CoordinateModel(new Random(2));
  for (let i = 0; i < 200; i++) {
    a.update("b", b.own, 0.05);
    b.update("a", a.own, 0.05);
  }
  const estimate = distanceSeconds(a.own, b.own);
  expect(Math.abs(estimate - 0.05)).toBeLessThan(0.002);
  expect(a.own.error).toBeLessThan(0.2);
});

test("a line of nodes is laid out as it is", () => {
  const models = Array.from({ length: 6 }, (_, i) => new CoordinateModel(new Random(10 + i)));
  const rtt = (i: number, j: number) => 0.01 * Math.abs(i - j) + 0.001;
  const random = new Random(3);
  for (let round = 0; round < 4_000; round++) {
    const i = random.below(6);
    const j = (i + 1 + random.below(5)) % 6;
    models[i]!.update(`n${j}`, models[j]!.own, rtt(i, j));
  }
  for (let i = 0; i < 6; i++) {
    for (let j = i + 1; j < 6; j++) {
      const estimate = distanceSeconds(models[i]!.own, models[j]!.own);
      expect(Math.abs(estimate - rtt(i, j))).toBeLessThan(0.01);
    }
  }
});

test("a single outlier is filtered by the median", () => {
  const model = new CoordinateModel(new Random(1));
  for (let i = 0; i < 50; i++) model.update("b", originCoordinate(), 0.01);
  const before = distanceSeconds(model.own, originCoordinate());
  model.update("b", originCoordinate(), 5);
  expect(Math.abs(distanceSeconds(model.own, originCoordinate()) - before)).toBeLessThan(0.005);
});

test("what cannot be is refused and moves nothing", () => {
  const model = new CoordinateModel(new Random(1));
  const before = structuredClone(model.own);
  const wrong = { ...originCoordinate(), vec: [NaN, 0, 0, 0, 0, 0, 0, 0] };
  expect(model.update("b", wrong, 0.01)).toBeDefined();
  expect(model.update("b", { ...originCoordinate(), vec: [0] }, 0.01)).toBeDefined();
  expect(model.update("b", originCoordinate(), -1)).toBeDefined();
  expect(model.update("b", originCoordinate(), 11)).toBeDefined();
  expect(model.own).toEqual(before);
});
