import { expect, test } from "bun:test";
import { decideBootstrap, type ServerMember } from "./bootstrap.ts";

const server = (id: string, over: Partial<ServerMember> = {}): ServerMember => ({
  id,
  name: `node-${id}`,
  address: `127.0.0.1:${id.charCodeAt(0)}`,
  expect: 3,
  isBootstrap: false,
  isCuria: true,
  ...over,
});
const expecting = { bootstrap: false, expect: 3, observe: false };

test("it waits until as many servers as expected are seen", () => {
  expect(decideBootstrap(expecting, server("a"), [server("b")])).toMatchObject({
    kind: "wait",
    reason: "2 of 3 expected servers are there",
  });
});

test("all servers arrive at the same configuration", () => {
  const [a, b, c] = [server("a"), server("b"), server("c")];
  const decisions = [
    decideBootstrap(expecting, a, [c, b]),
    decideBootstrap(expecting, b, [a, c]),
    decideBootstrap(expecting, c, [b, a]),
  ].map((decision) => (decision.kind === "ask" ? decision.configuration : decision));
  expect(decisions[0]).toMatchObject({
    index: 1,
    servers: [{ id: "a" }, { id: "b" }, { id: "c" }],
  });
  expect(decisions[1]).toEqual(decisions[0]!);
  expect(decisions[2]).toEqual(decisions[0]!);
});

test("a lone bootstrap server takes itself, but asks the others first", () => {
  expect(
    decideBootstrap({ bootstrap: true, expect: 0, observe: false }, server("a"), [server("b")]),
  ).toMatchObject(
    {
      kind: "ask",
      servers: [{ id: "b" }],
      configuration: { servers: [{ id: "a" }] },
    },
  );
});

test("what does not fit together is refused with the server's name", () => {
  const refused = (other: ServerMember) => decideBootstrap(expecting, server("a"), [other]);
  expect(refused(server("b", { expect: 5 }))).toMatchObject({ kind: "refuse" });
  expect(refused(server("b", { isBootstrap: true }))).toMatchObject({ kind: "refuse" });
  const consul = refused(server("b", { isCuria: false }));
  expect(consul.kind === "refuse" && consul.reason).toContain(
    "node-b in the gossip pool is a Consul",
  );
  // Only observed, it is nobody to wait for or to ask.
  const beside = [server("b", { isCuria: false, expect: 5 }), server("c"), server("d")];
  const decision = decideBootstrap({ ...expecting, observe: true }, server("a"), beside);
  expect(decision).toMatchObject({ kind: "ask", servers: [{ id: "c" }, { id: "d" }] });
  expect(decision.kind === "ask" && decision.configuration.servers.length).toBe(3);
});
