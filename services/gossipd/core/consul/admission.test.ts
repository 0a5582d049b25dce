import { expect, test } from "bun:test";
import { encodeTags } from "../wire/tags.ts";
import { type Admission, admissionRefusal } from "./admission.ts";
import { ownTags, serverOf } from "./server.ts";

const lan: Admission = {
  kind: "lan",
  nodeName: "me",
  nodeId: "id-me",
  datacenter: "dc1",
  observe: false,
};
const server = {
  role: "consul",
  dc: "dc1",
  id: "id-s",
  port: "8300",
  vsn: "2",
  build: "1.21.0:",
  curia: "0.1.0",
};
const applicant = (name: string, tags: Record<string, string>, hasLeft = false) => ({
  name,
  meta: encodeTags(new Map(Object.entries(tags))),
  hasLeft,
});
const refusal = (admission: Admission, ...applicants: ReturnType<typeof applicant>[]) =>
  admissionRefusal(admission, applicants);

test("servers and clients of our datacenter, and strangers without a role of Consul's, may enter", () => {
  expect(refusal(lan, applicant("s", server))).toBeUndefined();
  expect(refusal(lan, applicant("c", { role: "node", dc: "dc1", id: "id-c" }))).toBeUndefined();
  expect(refusal(lan, applicant("guest", { role: "web" }))).toBeUndefined();
});

test("another datacenter's may not", () => {
  const client = applicant("c", { role: "node", dc: "dc2", id: "id-c" });
  expect(refusal(lan, client)).toBe("Member 'c' part of wrong datacenter 'dc2'");
  expect(refusal(lan, applicant("s", { ...server, dc: "dc2" }))).toContain("wrong datacenter");
  expect(refusal(lan, applicant("c", { role: "node", dc: "dc2" }, true))).toBeUndefined();
});

test("our id under another name, or one id twice, is refused", () => {
  const node = { role: "node", dc: "dc1" };
  expect(refusal(lan, applicant("other", { ...node, id: "id-me" }))).toContain("this agent's ID");
  expect(refusal(lan, applicant("ME", { ...node, id: "id-me" }))).toBeUndefined();
  const twins = [applicant("a", { ...node, id: "x" }), applicant("b", { ...node, id: "x" })];
  expect(refusal(lan, ...twins)).toBe("Member 'b' has conflicting node ID 'x' with member 'a'");
});

test("a real Consul server is refused unless it may be observed", () => {
  const { curia: _, ...consul } = server;
  expect(refusal(lan, applicant("s", consul))).toContain("migration.observe");
  expect(refusal({ ...lan, observe: true }, applicant("s", consul))).toBeUndefined();
});

test("only servers enter the WAN pool", () => {
  const wan: Admission = { kind: "wan", observe: false };
  expect(refusal(wan, applicant("s.dc2", { ...server, dc: "dc2" }))).toBeUndefined();
  expect(refusal(wan, applicant("c", { role: "node", dc: "dc1" }))).toContain("is not a server");
});

test("a server is told by its tags as Consul tells it", () => {
  const of = (tags: Record<string, string>) => serverOf(new Map(Object.entries(tags)));
  expect(of({ ...server, expect: "3", bootstrap: "1" })).toMatchObject({
    port: 8300,
    bootstrapExpect: 3,
    bootstrap: true,
    build: "1.21.0",
  });
  for (const [name, value] of [["port", "x"], ["vsn", ""], ["build", "dev"], ["expect", "many"]]) {
    expect(of({ ...server, [name!]: value! })).toBeUndefined();
  }
  expect(of({ ...server, grpc_port: "0", grpc_tls_port: "0" })).toBeUndefined();
  expect(of({ ...server, grpc_port: "0", grpc_tls_port: "8503" })).toBeDefined();
});

test("our own tags make us a server, and fit into Meta", () => {
  const tags = ownTags({
    isServer: true,
    nodeId: "8f246b77-f3e1-ff88-5b48-8ec93abf3e05",
    datacenter: "dc1",
    build: "1.21.0",
    curiaVersion: "0.1.0",
    serverPort: 8300,
    wanJoinPort: 8302,
    grpcPort: 8502,
    grpcTlsPort: 8503,
    bootstrap: false,
    bootstrapExpect: 3,
    readReplica: false,
    useTls: false,
    aclsEnabled: false,
    advertiseReconnectTimeout: "",
  }, "lan");
  expect(serverOf(tags)).toMatchObject({ wanJoinPort: 8302, bootstrapExpect: 3, curia: "0.1.0" });
  expect(encodeTags(tags).length).toBeLessThan(400);
});
