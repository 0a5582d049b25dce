// A daemon as a process: its socket, its Control service, signals, readiness.

import { afterEach, describe, expect, setDefaultTimeout, test } from "bun:test";
import { Control } from "#proto/services.ts";
import { dlopen, ptr } from "bun:ffi";
import { existsSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { failureOf, Fixture } from "./bus/fixture.ts";

// Processes are started, on machines that may be busy with other tests.
setDefaultTimeout(30_000);
const fixture = new Fixture();
afterEach(() => fixture.close());

const root = join(import.meta.dirname, "..");

/** Starts a daemon that is ready from the moment its file `go` is there. */
async function startDaemon(more: { env?: Record<string, string>; config?: string } = {}) {
  const dir = fixture.dir();
  const configFile = join(dir, "config.hcl");
  const config = more.config ?? `node_name = "n1"\nlog_level = "debug"\n`;
  writeFileSync(configFile, `run_dir = "${dir}"\ndata_dir = "${dir}/data"\n${config}`);
  const script = join(dir, "main.ts");
  writeFileSync(
    script,
    `import { existsSync } from "node:fs";
    import { runDaemon } from ${JSON.stringify(join(root, "shared/daemon.ts"))};
    await runDaemon({
      name: "dnsd",
      start({ log }) {
        log.info({ token: "secret" }, "here");
        return {
          ready: () => existsSync(${
      JSON.stringify(join(dir, "go"))
    }) ? undefined : "waiting for go",
          details: () => ({ rows: "5" }),
          reload: () => ({ changed: ["dns_config"], needsRestart: ["ports"] }),
          stop: () => log.info("closing"),
        };
      },
    });`,
  );
  const child = Bun.spawn(
    [process.execPath, script, "-bind", "127.0.0.1", "-config-file", configFile],
    { cwd: root, stdout: "pipe", stderr: "pipe", env: { ...process.env, ...more.env } },
  );
  fixture.onClose(() => child.kill("SIGKILL"));
  const client = fixture.client(join(dir, "dnsd.sock"));
  return {
    dir,
    configFile,
    child,
    control: client.of(Control),
    go: () => writeFileSync(join(dir, "go"), ""),
    output: () => new Response(child.stdout).text(),
  };
}

describe("a daemon", () => {
  test("says what it is, and why it is not ready", async () => {
    const { control, child, go } = await startDaemon();
    const status = await control.status({});
    expect(status).toMatchObject({
      daemon: "dnsd",
      pid: child.pid,
      ready: false,
      reason: "waiting for go",
      details: { rows: "5" },
    });
    expect(status.configHash).toMatch(/^[0-9a-f]{64}$/);
    expect(status.memoryBytes).toBeGreaterThan(1_000_000);
    go();
    expect(await control.status({})).toMatchObject({ ready: true, reason: "" });
  });

  test("shows metrics in both formats", async () => {
    const { control } = await startDaemon();
    const text = await control.metrics({ format: "prometheus" });
    expect(text.body).toContain("# TYPE dnsd_bus_calls_total counter");
    const json = await control.metrics({ format: "json" });
    expect(JSON.parse(json.body)).toContainEqual(
      expect.objectContaining({ name: "dnsd_bus_calls_total", type: "counter" }),
    );
    expect((await failureOf(control.metrics({ format: "xml" }))).code).toBe("invalid-argument");
  });

  test("gives the tail of its log and each new line, without secrets", async () => {
    const { control } = await startDaemon();
    await control.status({});
    const messages: string[] = [];
    for await (const { line } of control.tailLog({ lines: 100, follow: true })) {
      expect(line).not.toContain('secret"');
      messages.push(JSON.parse(line).msg);
      if (messages.at(-1) === "started") void control.setLogLevel({ level: "trace" });
      if (messages.at(-1) === "log level set") break;
    }
    expect(messages).toContain("here");
    const errors: string[] = [];
    for await (const { line } of control.tailLog({ level: "error" })) errors.push(line);
    expect(errors).toEqual([]);
    expect((await failureOf(control.setLogLevel({ level: "loud" }))).code).toBe("invalid-argument");
  });

  test("stops in order when asked to, and takes its socket with it", async () => {
    const { control, child, dir, output } = await startDaemon();
    await control.stop({});
    expect(await child.exited).toBe(0);
    expect(existsSync(join(dir, "dnsd.sock"))).toBe(false);
    const messages = (await output()).trim().split("\n").map((line) => JSON.parse(line).msg);
    expect(messages.slice(-3)).toEqual(["stopping", "closing", "stopped"]);
  });

  test("stops on SIGTERM", async () => {
    const { control, child } = await startDaemon();
    await control.status({});
    child.kill("SIGTERM");
    expect(await child.exited).toBe(0);
  });

  test("reads its configuration again, and keeps the old one when the new is wrong", async () => {
    const { control, configFile, dir } = await startDaemon();
    const { configHash } = await control.status({});
    expect(await control.reload({})).toMatchObject({ changed: [], needsRestart: [] });
    const common = `run_dir = "${dir}"\ndata_dir = "${dir}/data"\nnode_name = "n1"\n`;
    writeFileSync(configFile, `${common}log_level = "warn"\n`);
    expect(await control.reload({})).toMatchObject({
      changed: ["dns_config", "log_level"],
      needsRestart: ["ports"],
    });
    const after = await control.status({});
    expect(after.configHash).not.toBe(configHash);
    writeFileSync(configFile, `${common}no_such_key = 1\n`);
    expect((await failureOf(control.reload({}))).message).toContain("no_such_key");
    expect((await control.status({})).configHash).toBe(after.configHash);
  });

  test("that cannot read its configuration says so and exits with 1", async () => {
    const { child } = await startDaemon({ config: "nonsense = true\n" });
    expect(await child.exited).toBe(1);
    expect(await new Response(child.stderr).text()).toContain("nonsense");
  });

  test("tells systemd when it is ready, not before", async () => {
    const notifications = new DatagramSocket(`curia-test-${process.pid}-${performance.now()}`);
    fixture.onClose(() => notifications.close());
    const { control, go } = await startDaemon({
      env: { NOTIFY_SOCKET: `@${notifications.name}` },
    });
    await control.status({});
    expect(notifications.receive()).toBe("");
    go();
    let text = "";
    while (text === "") {
      await control.status({});
      text = notifications.receive();
    }
    expect(text).toBe("READY=1\nSTATUS=ready");
  });

  test("serves metrics and health on its own port when told to", async () => {
    const probe = Bun.serve({ port: 0, fetch: () => new Response() });
    const { port } = probe;
    await probe.stop(true);
    const { control, go } = await startDaemon({
      config: `node_name = "n1"\nmetrics_ports { dnsd = ${port} }\n`,
    });
    await control.status({});
    const url = `http://127.0.0.1:${port}`;
    const waiting = await fetch(`${url}/healthz`);
    expect([waiting.status, await waiting.text()]).toEqual([503, "waiting for go\n"]);
    go();
    expect((await fetch(`${url}/healthz`)).status).toBe(200);
    expect(await (await fetch(`${url}/metrics`)).text()).toContain("dnsd_bus_calls_total");
  });
});

/** A Unix datagram socket in the abstract namespace, through libc as the sender's is. */
class DatagramSocket {
  readonly name: string;
  readonly #libc = dlopen("libc.so.6", {
    socket: { args: ["i32", "i32", "i32"], returns: "i32" },
    bind: { args: ["i32", "ptr", "u32"], returns: "i32" },
    recv: { args: ["i32", "ptr", "u64", "i32"], returns: "i64" },
    close: { args: ["i32"], returns: "i32" },
  }).symbols;
  readonly #file: number;

  constructor(name: string) {
    this.name = name;
    this.#file = this.#libc.socket(1, 2, 0);
    const address = Buffer.concat([Uint8Array.of(1, 0, 0), Buffer.from(name)]);
    expect(this.#libc.bind(this.#file, ptr(address), address.length)).toBe(0);
  }

  /** The next datagram; "" when there is none. */
  receive(): string {
    const buffer = Buffer.alloc(1000);
    const MSG_DONTWAIT = 0x40;
    const size = Number(this.#libc.recv(this.#file, ptr(buffer), buffer.length, MSG_DONTWAIT));
    return size > 0 ? buffer.toString("utf8", 0, size) : "";
  }

  close(): void {
    this.#libc.close(this.#file);
  }
}
