// Asks for a service by multicast DNS. The question comes from a port of its own, so responders
// answer it directly (RFC 6762 section 6.7) and nobody else's port 5353 is needed.
import dnsPacket from "dns-packet";
import { createSocket, type Socket } from "node:dgram";
import { networkInterfaces } from "node:os";
import { type DnsRecord, MdnsAnswers, type MdnsQuestion } from "../core/discovery.ts";

/** A way that multicast leaves this machine. */
export interface MdnsInterface {
  family: "v4" | "v6";
  /** IPv4: the interface's address; IPv6: `::%name`. */
  from: string;
}

const mdnsPort = 5353;
const groups = { v4: "224.0.0.251", v6: "ff02::fb" } as const;
/** A lost packet must not hide a whole pool. */
const repeatMs = 1_000;

/** Resolves after the whole time: responders answer at their own pace. */
export async function askMdns(
  question: MdnsQuestion,
  interfaces: readonly MdnsInterface[] = ownInterfaces(),
): Promise<{ host: string; port: number }[]> {
  const answers = new MdnsAnswers(question);
  const wanted = interfaces.filter(({ family }) => question[family]);
  const ask = (socket: Socket, { family, from }: MdnsInterface) => {
    const missing = answers.missing();
    const questions = [{ name: question.name, type: "PTR" as const }, ...missing];
    const zone = family === "v6" ? from.slice(from.indexOf("%")) : "";
    const packet = dnsPacket.encode({ type: "query", id: 0, questions });
    // An interface without a way out fails: the others may have one.
    try {
      socket.send(packet, mdnsPort, groups[family] + zone, () => {});
    } catch {
      return;
    }
  };
  const links = wanted.map((link) => ({
    link,
    opened: openSocket(link, (records, socket) => {
      const before = answers.missing().length;
      answers.take(records);
      const after = answers.missing().length;
      if (after > before) ask(socket, link);
    }),
  }));
  const sockets: { link: MdnsInterface; socket: Socket }[] = [];
  for (const { link, opened } of links) {
    const socket = await opened;
    if (socket !== undefined) sockets.push({ link, socket });
  }
  if (sockets.length === 0) throw new Error("provider=mdns: no interface to ask on");
  const askAll = () => sockets.forEach(({ link, socket }) => ask(socket, link));
  askAll();
  const timer = setInterval(askAll, repeatMs);
  await new Promise((resolve) => setTimeout(resolve, question.timeoutMs));
  clearInterval(timer);
  for (const { socket } of sockets) socket.close();
  return answers.endpoints();
}

function openSocket(
  { family, from }: MdnsInterface,
  heard: (records: DnsRecord[], socket: Socket) => void,
): Promise<Socket | undefined> {
  const socket = createSocket(family === "v4" ? "udp4" : "udp6");
  return new Promise((resolve) => {
    socket.on("error", () => resolve(undefined));
    socket.on("message", (packet) => heard(recordsOf(packet), socket));
    socket.bind(0, () => {
      try {
        socket.setMulticastInterface(from);
        socket.setMulticastTTL(255);
        resolve(socket);
      } catch {
        socket.close();
        resolve(undefined);
      }
    });
  });
}

function recordsOf(packet: Uint8Array): DnsRecord[] {
  try {
    const { type, answers = [], additionals = [] } = dnsPacket.decode(Buffer.from(packet));
    if (type !== "response") return [];
    return [...answers, ...additionals].map((record) => ({
      name: record.name,
      type: record.type,
      data: "data" in record ? record.data : undefined,
    }));
  } catch {
    // Anyone may send anything to a UDP port.
    return [];
  }
}

/** Every outer interface; loopback only where there is no other. */
export function ownInterfaces(): MdnsInterface[] {
  const all = Object.entries(networkInterfaces()).flatMap(([name, entries = []]) =>
    entries.map((entry) => ({ name, ...entry }))
  );
  const outer = all.filter(({ internal }) => !internal);
  const links = (outer.length > 0 ? outer : all).map(({ name, address, family }): MdnsInterface =>
    family === "IPv4" ? { family: "v4", from: address } : { family: "v6", from: `::%${name}` }
  );
  return [...new Map(links.map((link) => [link.from, link])).values()];
}
