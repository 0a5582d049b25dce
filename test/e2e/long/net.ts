// A network of its own for each node: namespaces on one bridge, which can be cut apart. Needs root
// and iproute2.

import { randomInt } from "node:crypto";

export class Net {
  readonly #bridge: string;
  readonly #subnet: string;
  readonly #count: number;

  constructor(count: number) {
    const number = randomInt(256);
    this.#bridge = `curia${number}`;
    this.#subnet = `10.213.${number}`;
    this.#count = count;
  }

  address(node: number): string {
    return `${this.#subnet}.${node}`;
  }

  /** What to run a program of the node with. */
  within(node: number): string[] {
    // Not "ip netns exec": that keeps a copy of every mount, and a disk could not be taken away.
    return ["nsenter", `--net=/run/netns/${this.#name(node)}`];
  }

  open(): void {
    this.#ip("link", "add", this.#bridge, "type", "bridge");
    this.#ip("addr", "add", `${this.#subnet}.254/24`, "dev", this.#bridge);
    this.#ip("link", "set", this.#bridge, "up");
    for (let node = 1; node <= this.#count; node++) {
      const name = this.#name(node), port = `${this.#bridge}p${node}`;
      this.#ip("netns", "add", name);
      this.#ip("link", "add", port, "type", "veth", "peer", "name", "eth0", "netns", name);
      this.#ip("link", "set", port, "master", this.#bridge, "up");
      this.#ip("-n", name, "addr", "add", `${this.address(node)}/24`, "dev", "eth0");
      this.#ip("-n", name, "link", "set", "eth0", "up");
      this.#ip("-n", name, "link", "set", "lo", "up");
    }
  }

  /** What one node sends to the other is lost from now on; the other way stays open. */
  cut(from: number, to: number): void {
    this.#ip("-n", this.#name(from), "route", "replace", "blackhole", `${this.address(to)}/32`);
  }

  /** All reach all again. */
  heal(): void {
    for (let node = 1; node <= this.#count; node++) {
      this.#ip("-n", this.#name(node), "route", "flush", "type", "blackhole");
    }
  }

  close(): void {
    for (let node = 1; node <= this.#count; node++) this.#ip("netns", "del", this.#name(node));
    this.#ip("link", "del", this.#bridge);
  }

  #name(node: number): string {
    return `${this.#bridge}n${node}`;
  }

  #ip(...args: string[]): void {
    const { exitCode, stderr } = Bun.spawnSync(["ip", ...args], {
      stdout: "ignore",
      stderr: "pipe",
    });
    // Flushing what is not there is no failure.
    if (exitCode !== 0 && !args.includes("flush")) {
      throw new Error(`ip ${args.join(" ")}: ${stderr}`);
    }
  }
}
