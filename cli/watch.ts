// `watch`: shows a piece of the datacenter's state once, or runs a program at each change of it.

import { ApiError } from "./api.ts";
import type { ApiClient, Query } from "./api.ts";
import type { Command, CommandContext } from "./command.ts";
import { flag } from "./flags.ts";
import type { Flags } from "./flags.ts";
import { ask, CommandFailure, refuseWithHelp } from "./refusal.ts";
import { runProgram } from "./subprocess.ts";

const retryMs = 5_000;
const retryMaxMs = 180_000;

export const commands: readonly Command[] = [
  {
    path: "watch",
    summary: "Watch for changes in Consul",
    usage: "[options] [child...]",
    flags: [
      flag("filter", "string", "Filter to use with the request."),
      flag("key", "string", "Specifies the key to watch. Only for 'key' type."),
      flag("name", "string", "Specifies an event name to watch. Only for 'event' type."),
      flag("passingonly", "string", "Whether only passing instances count. Only for 'service'."),
      flag("prefix", "string", "Specifies the key prefix to watch. Only for 'keyprefix' type."),
      flag("service", "string", "The service to watch. For 'service' and 'checks' types."),
      flag("shell", "bool", "Use a shell to run the command (default true)."),
      flag("state", "string", "Specifies the states to watch. Only for 'checks' type."),
      flag("tag", "strings", "The service tag(s) to filter on. Only for 'service' type."),
      flag(
        "type",
        "string",
        "The watch type: key, keyprefix, services, nodes, service, checks or event.",
      ),
    ],
    isClient: true,
    isServerCall: true,
    run: watch,
  },
];

/** What one type asks for, and how its answer is handed on. */
interface Plan {
  path: string;
  query: Query;
  shape(reply: unknown): unknown;
  /** Answers 404 when there is nothing. */
  absent: unknown;
}

interface WatchType {
  parameters: readonly string[];
  plan(flags: Flags): Plan;
}

const asIs = (reply: unknown) => reply ?? [];

const types: Record<string, WatchType> = {
  key: {
    parameters: ["key"],
    plan: (flags) => ({
      path: `/v1/kv/${required(flags, "key", "key")}`,
      query: {},
      shape: (reply) => pairOf((reply as RawPair[])[0]!),
      absent: null,
    }),
  },
  keyprefix: {
    parameters: ["prefix"],
    plan: (flags) => ({
      path: `/v1/kv/${required(flags, "prefix", "prefix")}`,
      query: { recurse: "" },
      shape: (reply) => (reply as RawPair[]).map(pairOf),
      absent: null,
    }),
  },
  services: {
    parameters: ["filter"],
    plan: (flags) => ({
      path: "/v1/catalog/services",
      query: filterOf(flags),
      shape: (reply) => sortedMembers(reply as Record<string, unknown>),
      absent: {},
    }),
  },
  nodes: {
    parameters: ["filter"],
    plan: (flags) => ({
      path: "/v1/catalog/nodes",
      query: filterOf(flags),
      shape: asIs,
      absent: [],
    }),
  },
  service: {
    parameters: ["service", "tag", "passingonly", "filter"],
    plan: (flags) => ({
      path: `/v1/health/service/${required(flags, "service", "service")}`,
      query: {
        ...filterOf(flags),
        tag: flags.strings("tag"),
        ...(flags.string("passingonly") === "true" ? { passing: "1" } : {}),
      },
      shape: asIs,
      absent: [],
    }),
  },
  checks: {
    parameters: ["service", "state", "filter"],
    plan: (flags) => {
      const service = flags.string("service");
      if (service !== "" && flags.string("state") !== "") {
        throw new CommandFailure("Cannot specify service and state");
      }
      return {
        path: service === ""
          ? `/v1/health/state/${flags.string("state", "any")}`
          : `/v1/health/checks/${service}`,
        query: filterOf(flags),
        shape: asIs,
        absent: [],
      };
    },
  },
  event: {
    parameters: ["name"],
    plan: (flags) => ({
      path: "/v1/event/list",
      query: flags.string("name") === "" ? {} : { name: flags.string("name") },
      shape: asIs,
      absent: [],
    }),
  },
};

const allParameters = ["key", "prefix", "service", "tag", "passingonly", "state", "name", "filter"];

async function watch(context: CommandContext): Promise<number> {
  const { args, flags, api, terminal } = context;
  const type = flags.string("type");
  if (type === "") refuseWithHelp(context, "Watch type must be specified");
  const known = Object.hasOwn(types, type) ? types[type] : undefined;
  if (known === undefined) throw new CommandFailure(`Unsupported watch type: ${type}`);
  const plan = known.plan(flags);
  const surplus = allParameters.filter((name) =>
    flags.has(name) && !known.parameters.includes(name)
  );
  if (surplus.length > 0) throw new CommandFailure(`Invalid parameters: [${surplus.join(" ")}]`);
  const agent = api();
  await ask("Error querying Consul agent", agent.call("GET", "/v1/status/leader"));
  if (args.length === 0) {
    const { data } = await ask("Error querying Consul agent", read(agent, plan, "", type));
    terminal.out(`${JSON.stringify(data, null, 4)}\n`);
    return 0;
  }
  return await follow(context, agent, plan, type);
}

/** Runs the program for the first answer and for each that differs, until it fails. */
async function follow(
  { args, flags, terminal }: CommandContext,
  agent: ApiClient,
  plan: Plan,
  type: string,
): Promise<number> {
  let index = "";
  let last: string | undefined;
  for (let failures = 0;;) {
    let answer: Answer;
    try {
      answer = await read(agent, plan, index, type);
      failures = 0;
    } catch (error) {
      if (!(error instanceof ApiError)) throw error;
      failures++;
      const waitMs = Math.min(retryMs * failures ** 2, retryMaxMs);
      terminal.err(`Watch (type: ${type}) errored: ${error.message}, retry in ${waitMs / 1000}s\n`);
      index = "";
      await Bun.sleep(waitMs);
      continue;
    }
    const hasMoved = answer.index !== index;
    // An index that went back belongs to another state: begin anew.
    index = Number(answer.index) < Number(index) ? "" : answer.index;
    const text = JSON.stringify(answer.data);
    if (!hasMoved || text === last) continue;
    last = text;
    const problem = await runProgram(args, {
      hasShell: flags.bool("shell", true),
      env: { CONSUL_INDEX: answer.index },
      stdin: `${text}\n`,
    });
    if (problem !== undefined) throw new CommandFailure(`Error executing handler: ${problem}`);
  }
}

interface Answer {
  data: unknown;
  index: string;
}

async function read(agent: ApiClient, plan: Plan, index: string, type: string): Promise<Answer> {
  const { status, text, headers } = await agent.call("GET", plan.path, {
    query: { ...plan.query, ...(index === "" ? {} : { index }) },
    accept: [404],
  });
  const newIndex = headers.get("X-Consul-Index") ?? "";
  if (status === 404) return { data: plan.absent, index: newIndex };
  const data = plan.shape(JSON.parse(text));
  const isNewer = type === "event" && index !== "" && Array.isArray(data);
  return { data: isNewer ? data.slice(-1) : data, index: newIndex };
}

interface RawPair {
  Key: string;
  CreateIndex: number;
  ModifyIndex: number;
  LockIndex: number;
  Flags: number;
  Value: string | null;
  Session?: string;
}

function pairOf(pair: RawPair) {
  const { Key, CreateIndex, ModifyIndex, LockIndex, Flags, Value, Session } = pair;
  return { Key, CreateIndex, ModifyIndex, LockIndex, Flags, Value, Session: Session ?? "" };
}

function sortedMembers(object: Record<string, unknown>): Record<string, unknown> {
  return Object.fromEntries(Object.entries(object).sort(([a], [b]) => a < b ? -1 : 1));
}

function filterOf(flags: Flags): Query {
  return flags.string("filter") === "" ? {} : { filter: flags.string("filter") };
}

function required(flags: Flags, name: string, what: string): string {
  const value = flags.string(name);
  if (value === "") throw new CommandFailure(`Must specify a single ${what} to watch`);
  return encodeURIComponent(value).replaceAll("%2F", "/");
}
