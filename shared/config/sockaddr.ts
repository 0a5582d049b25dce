// Address templates such as `{{ GetPrivateIP }}` or `{{ GetInterfaceIP "eth0" }}`
// (the language of hashicorp/go-sockaddr, as far as agents' configurations use it).

import { isPrivate, isWithin, parseCidr, parseIp } from "./ip-address.ts";

export interface HostInterface {
  name: string;
  address: string;
  family: 4 | 6;
  isLoopback: boolean;
}

export class TemplateError extends Error {
  override name = "TemplateError";
}

/** The text with its templates replaced. Texts without templates come back as they are. */
export function expandTemplate(text: string, interfaces: readonly HostInterface[]): string {
  if (!text.includes("{{")) return text;
  return text.replace(/\{\{(.*?)\}\}/g, (_, body: string) => evaluate(body.trim(), interfaces));
}

type Addresses = readonly HostInterface[];

/** Functions that give addresses straight away as text. */
const shortcuts: Record<string, (all: Addresses, argument: string) => string> = {
  GetPrivateIP: (all) => first(privateIps(all)),
  GetPrivateIPs: (all) => join(privateIps(all)),
  GetPublicIP: (all) => first(publicIps(all)),
  GetPublicIPs: (all) => join(publicIps(all)),
  GetInterfaceIP: (all, name) => first(byName(all, name)),
  GetInterfaceIPs: (all, name) => join(byName(all, name)),
};

/** Functions that start a pipeline. */
const sources: Record<string, (all: Addresses) => Addresses> = {
  GetAllInterfaces: (all) => all,
  GetDefaultInterfaces: (all) => defaultInterface(all),
  GetPrivateInterfaces: (all) =>
    defaultInterface(all).filter((entry) => isPrivate(parseIp(entry.address)!)),
  GetPublicInterfaces: (all) =>
    defaultInterface(all).filter((entry) => !isPrivate(parseIp(entry.address)!)),
};

function evaluate(body: string, interfaces: Addresses): string {
  const [head, ...filters] = splitPipeline(body);
  const [name, ...args] = words(head ?? "");
  const shortcut = shortcuts[name ?? ""];
  if (shortcut !== undefined) return shortcut(interfaces, args[0] ?? "");
  const source = sources[name ?? ""];
  if (source === undefined) {
    throw new TemplateError(`unable to parse address template: function "${name}" not defined`);
  }
  let current: Addresses = source(interfaces);
  for (const filter of filters) {
    const [operation, ...operands] = words(filter);
    const result = applyFilter(operation ?? "", operands, current);
    if (typeof result === "string") return result;
    current = result;
  }
  throw new TemplateError(`address template must end with "attr" or "join": ${body}`);
}

function applyFilter(operation: string, operands: string[], current: Addresses) {
  const [selector = "", argument = ""] = operands;
  switch (operation) {
    case "include":
      return current.filter((entry) => matches(entry, selector, argument));
    case "exclude":
      return current.filter((entry) => !matches(entry, selector, argument));
    case "limit":
      return current.slice(0, Number(selector));
    case "offset":
      return current.slice(Number(selector));
    case "sort":
      return sorted(current, selector);
    case "unique":
      return current.filter((entry, i) =>
        current.findIndex((other) => attribute(other, selector) === attribute(entry, selector)) ===
          i
      );
    case "attr":
      return current[0] === undefined ? "" : attribute(current[0], selector);
    case "join":
      return current.map((entry) => attribute(entry, selector)).join(argument);
    default:
      throw new TemplateError(
        `unable to parse address template: function "${operation}" not defined`,
      );
  }
}

function matches(entry: HostInterface, selector: string, argument: string): boolean {
  switch (selector) {
    case "name":
      return new RegExp(argument).test(entry.name);
    case "address":
      return new RegExp(argument).test(entry.address);
    case "type":
      return argument.toLowerCase() === "ip" || argument.toLowerCase() === `ipv${entry.family}`;
    case "flag":
    case "flags":
      return argument.split("|").every((flag) => hasFlag(entry, flag.trim()));
    case "network": {
      const network = parseCidr(argument);
      if (network === undefined) throw new TemplateError(`invalid network: ${argument}`);
      return isWithin(parseIp(entry.address)!, network);
    }
    case "rfc":
      if (argument !== "1918" && argument !== "6890") {
        throw new TemplateError(`unsupported rfc in address template: ${argument}`);
      }
      return isPrivate(parseIp(entry.address)!);
    default:
      throw new TemplateError(`invalid selector in address template: "${selector}"`);
  }
}

function hasFlag(entry: HostInterface, flag: string): boolean {
  switch (flag) {
    case "up":
      return true;
    case "loopback":
      return entry.isLoopback;
    case "forwardable":
      return !entry.isLoopback && !/^(169\.254\.|fe80:)/i.test(entry.address);
    default:
      throw new TemplateError(`invalid flag in address template: "${flag}"`);
  }
}

function sorted(current: Addresses, order: string): Addresses {
  return [...current].sort((a, b) => {
    for (const term of order.split(",")) {
      const name = term.trim().replace(/^[+-]/, "");
      const [left, right] = name === "default" || name === "private"
        ? [Number(isPrivate(parseIp(b.address)!)), Number(isPrivate(parseIp(a.address)!))]
        : [sortKey(a, name), sortKey(b, name)];
      if (left !== right) return (left < right ? -1 : 1) * (term.trim().startsWith("-") ? -1 : 1);
    }
    return 0;
  });
}

function sortKey(entry: HostInterface, name: string): string | bigint {
  if (name === "address") return parseIp(entry.address)!.value;
  return name === "type" ? `ipv${entry.family}` : entry.name;
}

function attribute(entry: HostInterface, name: string): string {
  switch (name) {
    case "address":
    case "host":
      return entry.address;
    case "name":
      return entry.name;
    case "type":
      return `IPv${entry.family}`;
    default:
      throw new TemplateError(`unsupported attribute in address template: "${name}"`);
  }
}

/** The routing table is not read: the first interface that is not loopback stands for it. */
function defaultInterface(all: Addresses): Addresses {
  const name = all.find((entry) => !entry.isLoopback)?.name;
  return all.filter((entry) => entry.name === name);
}

function privateIps(all: Addresses): Addresses {
  return defaultInterface(all).filter(({ address, family }) =>
    family === 4 && isPrivate(parseIp(address)!)
  );
}

function publicIps(all: Addresses): Addresses {
  return defaultInterface(all).filter(({ address, family }) =>
    family === 4 && !isPrivate(parseIp(address)!)
  );
}

/** IPv4 first, as an agent expects. */
function byName(all: Addresses, name: string): Addresses {
  const found = all.filter((entry) => entry.name === name);
  return found.sort((a, b) => a.family - b.family);
}

function first(addresses: Addresses): string {
  return addresses[0]?.address ?? "";
}

function join(addresses: Addresses): string {
  return addresses.map(({ address }) => address).join(" ");
}

function splitPipeline(body: string): string[] {
  return (body.match(/(?:"[^"]*"|[^|"])+/g) ?? []).map((part) => part.trim());
}

function words(text: string): string[] {
  return (text.match(/"[^"]*"|\S+/g) ?? []).map((word) => word.replace(/^"|"$/g, ""));
}
