import { expect, test } from "bun:test";
import { Check, type CommandInput, Member, Node, Service } from "#proto/messages.js";
import { type CatalogRows, idConflicts, reconcile } from "./reconcile.ts";

const settings = { datacenter: "dc1", self: "server-1" };
const member = (name: string, status: number, tags: Record<string, string> = {}) =>
  Member.create({
    name,
    status,
    address: "10.0.0.1",
    tags: { dc: "dc1", role: "node", id: `id-${name}`, build: "1.21.0:", ...tags },
  });
const server = (name: string, status: number) =>
  member(name, status, { role: "consul", port: "8300", raft_vsn: "3", curia: "1" });

class Rows implements CatalogRows {
  readonly nodes = new Map<string, Node>();
  readonly checks = new Map<string, Check>();
  readonly services = new Map<string, Service>();
  node = (name: string) => this.nodes.get(name);
  check = (node: string, id: string) => id === "serfHealth" ? this.checks.get(node) : undefined;
  service = (node: string) => this.services.get(node);
  nodesWithSerfHealth = () => this.checks.keys();

  take(commands: CommandInput[]): void {
    for (const { register, deregister } of commands) {
      if (deregister) {
        const name = deregister.node!;
        for (const map of [this.nodes, this.checks, this.services]) map.delete(name);
      }
      if (!register) continue;
      const name = register.node!.node!;
      if (!register.skipNodeUpdate) this.nodes.set(name, Node.create(register.node!));
      for (const check of register.checks ?? []) this.checks.set(name, Check.create(check));
      if (register.service) this.services.set(name, Service.create(register.service));
    }
  }
}

test("alive members are registered once, servers with their consul service", () => {
  const rows = new Rows();
  const members = [server("server-1", 1), member("client-1", 1)];
  const commands = reconcile(members, rows, settings);
  expect(commands).toMatchObject([
    {
      register: {
        node: { node: "server-1", id: "id-server-1", meta: { "consul-version": "1.21.0" } },
        service: { id: "consul", port: 8300, meta: { raft_version: "3", non_voter: "false" } },
        checks: [{ checkId: "serfHealth", status: "passing", output: "Agent alive and reachable" }],
      },
    },
    { register: { node: { node: "client-1" }, service: null } },
  ]);
  rows.take(commands);
  expect(reconcile(members, rows, settings)).toEqual([]);
});

test("a failed member turns critical and keeps its node; it comes back passing", () => {
  const rows = new Rows();
  rows.take(reconcile([member("client-1", 1)], rows, settings));
  const failed = reconcile([member("client-1", 4)], rows, settings);
  expect(failed).toMatchObject([{
    register: {
      skipNodeUpdate: true,
      checks: [{ status: "critical", output: "Agent not live or unreachable" }],
    },
  }]);
  rows.take(failed);
  expect(reconcile([member("client-1", 4)], rows, settings)).toEqual([]);
  expect(reconcile([member("client-1", 1)], rows, settings)).toMatchObject([
    { register: { checks: [{ status: "passing" }] } },
  ]);
});

test("a member that failed before it was ever registered is not made up", () => {
  expect(reconcile([member("ghost", 4)], new Rows(), settings)).toEqual([]);
});

test("who left, and who gossip does not know any more, is deregistered; others are left alone", () => {
  const rows = new Rows();
  rows.take(reconcile([member("a", 1), member("b", 1)], rows, settings));
  rows.nodes.set("external", Node.create({ node: "external" }));
  const commands = reconcile([member("a", 3)], rows, settings);
  expect(commands).toEqual([{ deregister: { node: "a" } }, { deregister: { node: "b" } }]);
});

test("a leader does not deregister itself, and takes no member of another datacenter", () => {
  const rows = new Rows();
  rows.take(reconcile([server("server-1", 1)], rows, settings));
  expect(reconcile([server("server-1", 3)], rows, settings)).toEqual([]);
  expect(reconcile([member("far", 1, { dc: "dc2" })], new Rows(), settings)).toEqual([]);
});

test("a node without its checkd is critical and says so", () => {
  const [command] = reconcile([member("a", 1, { checkd: "absent" })], new Rows(), settings);
  expect(command!.register!.checks![0]).toMatchObject({ status: "critical" });
  expect(command!.register!.checks![0]!.output).toContain("checkd");
});

test("guests of the pool are left out, and a node of their name is not forgotten", () => {
  const rows = new Rows();
  const guest = member("guest", 1, { role: "web" });
  expect(reconcile([guest, Member.create({ name: "bare", status: 1 })], rows, settings)).toEqual(
    [],
  );
  rows.take(reconcile([member("guest", 1)], rows, settings));
  expect(reconcile([guest], rows, settings)).toEqual([]);
});

test("of two live nodes with one ID the one in the catalog keeps it", () => {
  const rows = new Rows();
  const [old, copy] = [member("old", 1, { id: "same" }), member("copy", 1, { id: "SAME" })];
  rows.take(reconcile([old], rows, settings));
  expect(reconcile([copy, old], rows, settings)).toEqual([]);
  expect(idConflicts([copy, old], rows, settings)).toEqual([
    { member: "copy", holder: "old", id: "same" },
  ]);
  // Nobody has it yet: the first by name. Gone is gone: the other may have it then.
  expect(idConflicts([old, copy], new Rows(), settings)).toEqual([
    { member: "old", holder: "copy", id: "same" },
  ]);
  const gone = member("old", 4, { id: "same" });
  expect(idConflicts([gone, copy], rows, settings)).toEqual([]);
  expect(reconcile([gone, copy], rows, settings).map(({ register }) => register!.node!.node))
    .toContain("copy");
});

test("a Consul server that is observed is a node without our service", () => {
  const { tags, ...observed } = server("theirs", 1);
  const { curia: _, ...theirs } = tags;
  const [command] = reconcile([Member.create({ ...observed, tags: theirs })], new Rows(), settings);
  expect(command!.register).toMatchObject({ node: { node: "theirs" }, service: null });
});
