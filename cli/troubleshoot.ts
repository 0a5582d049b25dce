// `troubleshoot`: can the ports of a server be reached from here.

import { connect } from "node:net";
import type { Command, CommandContext } from "./command.ts";
import { flag } from "./flags.ts";
import { CommandFailure } from "./refusal.ts";

/** DNS, HTTP, HTTPS, gRPC, gRPC with TLS, Serf LAN and WAN, server. */
const defaultPorts = "8600,8500,8501,8502,8503,8301,8302,8300";
const connectTimeoutMs = 5_000;

export const commands: readonly Command[] = [
  {
    path: "troubleshoot ports",
    summary: "Shows which TCP ports of a server can be reached",
    usage: "[options]",
    flags: [
      flag("host", "string", "The host; else that of CONSUL_HTTP_ADDR."),
      flag("ports", "string", "Ports, separated by commas."),
    ],
    run: ports,
  },
];

async function ports({ flags, env, terminal }: CommandContext): Promise<number> {
  const host = flags.string("host") || hostOf(env["CONSUL_HTTP_ADDR"] ?? "");
  if (host === "") {
    throw new CommandFailure(
      "-host must be given, or the environment variable CONSUL_HTTP_ADDR be set",
    );
  }
  const wanted = flags.string("ports", defaultPorts).split(",").map((text) => text.trim());
  const wrong = wanted.find((text) => !/^\d{1,5}$/.test(text) || Number(text) > 65535);
  if (wrong !== undefined) throw new CommandFailure(`invalid port: ${JSON.stringify(wrong)}`);
  const results = await Promise.all(wanted.map((text) => probe(host, Number(text))));
  results.forEach((problem, i) => {
    const port = wanted[i];
    terminal.out(
      problem === undefined
        ? `TCP: Port ${port} on ${host} is open.\n`
        : `TCP: Port ${port} on ${host} is closed, unreachable, or the connection timed out.\n`,
    );
  });
  return 0;
}

function hostOf(address: string): string {
  return address.replace(/^[a-z+]+:\/\//, "").replace(/[/].*$/, "").replace(/:\d+$/, "");
}

/** Undefined when something accepted. */
function probe(host: string, port: number): Promise<string | undefined> {
  return new Promise((resolve) => {
    const socket = connect({ host, port });
    const done = (problem: string | undefined) => {
      socket.destroy();
      resolve(problem);
    };
    socket.setTimeout(connectTimeoutMs, () => done("timed out"));
    socket.on("connect", () => done(undefined));
    socket.on("error", (error) => done(error.message));
  });
}
