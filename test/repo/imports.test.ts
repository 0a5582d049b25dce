// Who may import whom (CONTRIBUTING.md, "Layers"), and that nobody imports in a circle.

import { expect, test } from "bun:test";
import { importsOf, isTest, type SourceFile, sourceFiles } from "./sources.ts";

/** Shared code without I/O, clock or chance of its own. */
const PURE_SHARED =
  /^shared\/(machine|random|errors)\.ts$|^shared\/(consul|codec|acl)\/|^shared\/config\/(types|definitions|tls-types)\.ts$|^shared\/view-tables\.ts$/;
const PURE_PACKAGES = new Set([
  "dns-packet",
  "node:assert",
  "node:buffer",
  "node:net-address",
]);
const own = ["services", "shared", "proto", "cli", "test", "bench", "scripts"];

/** Why `from` must not import `to`; undefined: it may. */
function refusal(from: string, to: string): string | undefined {
  const [top, service, layer] = from.split("/");
  const [toTop, toService, toLayer] = to.split("/");
  const isOwn = own.includes(toTop!);
  if (toTop === "test" && top !== "test" && top !== "bench") return "only tests import tests";
  if (top === "shared" && ["services", "cli"].includes(toTop!)) return "shared knows no service";
  if (top === "scripts" && toTop === "services") return "scripts know no service";
  if (top !== "services") return undefined;
  if (toTop === "cli" || toTop === "bench") return "services know no client";
  if (toTop === "services" && service !== toService) return "services meet on the bus";
  if (layer === "state") {
    if (toTop === "services" && !["core", "state"].includes(toLayer!)) return "state knows core";
    return undefined;
  }
  if (layer !== "core") return undefined;
  if (toTop === "services" && toLayer !== "core") return "core knows only core";
  if (toTop === "shared" && !PURE_SHARED.test(to)) return "core takes only pure shared code";
  if (!isOwn && !PURE_PACKAGES.has(to)) return "core does no I/O";
  return undefined;
}

function refusals(files: SourceFile[]): string[] {
  return files.filter(({ path }) => !isTest(path)).flatMap((file) =>
    importsOf(file).flatMap((to) => {
      const why = refusal(file.path, to);
      return why === undefined ? [] : [`${file.path} imports ${to}: ${why}`];
    })
  );
}

/** A circle of imports that begins at some file; undefined: there is none. */
function circle(files: SourceFile[]): string[] | undefined {
  const graph = new Map(files.map((file) => [file.path, importsOf(file)]));
  const done = new Set<string>();
  const visit = (path: string, trail: string[]): string[] | undefined => {
    const begun = trail.indexOf(path);
    if (begun >= 0) return [...trail.slice(begun), path];
    if (done.has(path)) return undefined;
    for (const next of graph.get(path) ?? []) {
      const found = graph.has(next) ? visit(next, [...trail, path]) : undefined;
      if (found !== undefined) return found;
    }
    done.add(path);
    return undefined;
  };
  for (const path of graph.keys()) {
    const found = visit(path, []);
    if (found !== undefined) return found;
  }
  return undefined;
}

test("imports keep to the layers", () => {
  expect(refusals(sourceFiles())).toEqual([]);
});

test("nobody imports in a circle", () => {
  expect(circle(sourceFiles().filter(({ path }) => !isTest(path)))).toBeUndefined();
});

test("planted violations are found", () => {
  const plant = (path: string, to: string) => refusals([{ path, text: `import "${to}";` }]);
  expect(plant("services/dnsd/core/a.ts", "node:dgram")).toHaveLength(1);
  expect(plant("services/dnsd/core/a.ts", "../io/udp.ts")).toHaveLength(1);
  expect(plant("services/dnsd/core/a.ts", "#shared/log.ts")).toHaveLength(1);
  expect(plant("services/dnsd/main.ts", "../raftd/main.ts")).toHaveLength(1);
  expect(plant("shared/log.ts", "../services/raftd/bus.ts")).toHaveLength(1);
  expect(plant("services/dnsd/core/a.ts", "#shared/random.ts")).toEqual([]);
  const ring = [["a", "b"], ["b", "c"], ["c", "a"]].map(([from, to]) => ({
    path: `shared/${from}.ts`,
    text: `import type { X } from "./${to}.ts";`,
  }));
  expect(circle(ring)).toEqual(["shared/a.ts", "shared/b.ts", "shared/c.ts", "shared/a.ts"]);
});
