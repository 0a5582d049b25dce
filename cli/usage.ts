// `operator usage`: how many nodes, services and instances there are.

import { formatTabs } from "./columns.ts";
import type { Command, CommandContext } from "./command.ts";
import { flag } from "./flags.ts";
import { ask } from "./refusal.ts";

export const usageCommands: readonly Command[] = [
  {
    path: "operator usage instances",
    summary: "Display service instance usage",
    usage: "[options]",
    flags: [
      flag("all-datacenters", "bool", "Display instances of all datacenters."),
      flag("billable", "bool", "Display only billable service instances."),
      flag("connect", "bool", "Display only Connect service instances."),
    ],
    isClient: true,
    isServerCall: true,
    run: usage,
  },
];

interface Usage {
  Nodes: number;
  Services: number;
  ServiceInstances: number;
  ConnectServiceInstances: Record<string, number>;
  BillableServiceInstances: number;
}

async function usage({ flags, api, terminal }: CommandContext): Promise<number> {
  const query: Record<string, string> = flags.bool("all-datacenters") ? { global: "" } : {};
  const reply = await ask(
    "Error fetching usage information",
    api().json<{ Usage: Record<string, Usage> }>("GET", "/v1/operator/usage", { query }),
  );
  const byDatacenter = Object.entries(reply.Usage).sort(([a], [b]) => a < b ? -1 : 1);
  const isAll = flags.bool("all-datacenters");
  if (flags.bool("billable") || !flags.bool("connect")) {
    terminal.out(billableText(byDatacenter, isAll));
  }
  if (flags.bool("connect") || !flags.bool("billable")) {
    terminal.out(`Connect Services\n${connectText(byDatacenter, isAll)}`);
  }
  return 0;
}

function billableText(usages: [string, Usage][], isAll: boolean): string {
  const total = usages.reduce((sum, [, use]) => sum + use.BillableServiceInstances, 0);
  const head = `Billable Service Instances Total: ${total}\n` +
    usages.map(([dc, use]) => `${dc} Billable Service Instances: ${use.BillableServiceInstances}\n`)
      .join("");
  const services = usages.map(([dc, use]) => [
    ...(isAll ? [dc] : []),
    String(use.Services),
    String(use.BillableServiceInstances),
  ]);
  const header = [...(isAll ? ["Datacenter"] : []), "Services", "Service instances"];
  const nodes = usages.reduce((sum, [, use]) => sum + use.Nodes, 0);
  const nodeRows = usages.map(([dc, use]) => [dc, String(use.Nodes)]);
  return `${head}\nBillable Services\n${formatTabs([header, ...services])}\n\nNodes\n` +
    `${
      formatTabs([["Datacenter", "Count", "", ""], ...nodeRows, ["", ""], ["Total", String(nodes)]])
    }` +
    "\n\n";
}

function connectText(usages: [string, Usage][], isAll: boolean): string {
  const rows = usages.flatMap(([dc, use]) =>
    Object.entries(use.ConnectServiceInstances).sort(([a], [b]) => a < b ? -1 : 1)
      .map(([kind, count]) => [...(isAll ? [dc] : []), kind, String(count)])
  );
  return formatTabs([[...(isAll ? ["Datacenter"] : []), "Type", "Service instances"], ...rows]);
}
