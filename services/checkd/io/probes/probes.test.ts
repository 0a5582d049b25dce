import { afterAll, describe, expect, test } from "bun:test";
import { createSocket } from "node:dgram";
import { createServer as createHttp, type RequestListener } from "node:http";
import { createServer as createHttp2, type ServerHttp2Stream } from "node:http2";
import { type AddressInfo, createServer as createTcp } from "node:net";
import { mkdtempSync } from "node:fs";
import type { CheckDefinition } from "#shared/config/definitions.ts";
import { emptyCheck } from "../../core/model.ts";
import type { ProbeResult } from "../../core/schedule.ts";
import { probeDocker } from "./docker.ts";
import { probeHttp } from "./http.ts";
import { probeGrpc, probeH2ping } from "./http2.ts";
import { TailBuffer } from "./output.ts";
import type { Probe } from "./probe.ts";
import { probeScript } from "./script.ts";
import { probeTcp } from "./tcp.ts";
import { probeUdp } from "./udp.ts";

const cleanups: (() => void)[] = [];
afterAll(() => cleanups.forEach((cleanup) => cleanup()));

async function run(
  probe: Probe,
  check: Partial<CheckDefinition>,
  options: { timeoutMs?: number; outputMax?: number } = {},
): Promise<ProbeResult | null> {
  let early: ProbeResult | null = null;
  const result = await probe({ ...emptyCheck(), ...check }, {
    timeoutMs: 3000,
    outputMax: 4096,
    signal: new AbortController().signal,
    report: (told) => early = told,
    tls: {},
    ...options,
  });
  return result ?? early;
}

function listen(server: ReturnType<typeof createTcp>, path?: string): Promise<string> {
  cleanups.push(() => server.close());
  return new Promise((resolve) => {
    const done = () => resolve(path ?? `127.0.0.1:${(server.address() as AddressInfo).port}`);
    if (path === undefined) server.listen(0, "127.0.0.1", done);
    else server.listen(path, done);
  });
}

async function httpServer(handler: RequestListener): Promise<string> {
  return await listen(createHttp(handler));
}

/** An address on which nothing listens. */
async function closedAddress(): Promise<string> {
  const server = createTcp();
  const address = await listen(server);
  await new Promise((resolve) => server.close(resolve));
  return address;
}

describe("http", () => {
  test("judges the status and shows the body", async () => {
    const address = await httpServer((request, response) => {
      const code = Number(request.url!.slice(1));
      response.writeHead(code).end(`body ${request.headers["user-agent"]}`);
    });
    for (
      const [code, line, status] of [
        [200, "200 OK", "passing"],
        [204, "204 No Content", "passing"],
        [429, "429 Too Many Requests", "warning"],
        [404, "404 Not Found", "critical"],
        [503, "503 Service Unavailable", "critical"],
      ] as const
    ) {
      const url = `http://${address}/${code}`;
      const body = code === 204 ? "" : "body Consul Health Check";
      expect(await run(probeHttp, { http: url })).toEqual({
        status,
        output: `HTTP GET ${url}: ${line} Output: ${body}`,
        isFinal: false,
      });
    }
  });

  test("sends method, headers, host and body, each on a connection of its own", async () => {
    const ports = new Set<number>();
    const address = await httpServer(async (request, response) => {
      ports.add(request.socket.remotePort!);
      let body = "";
      for await (const chunk of request) body += chunk;
      const { host, "x-a": a, accept } = request.headers;
      response.end(JSON.stringify([request.method, host, a, accept, body]));
    });
    const header = { Host: ["other.example"], "X-A": ["1", "2"], accept: ["text/x"] };
    const check = { http: `http://${address}/`, method: "POST", header, body: "hello" };
    const result = await run(probeHttp, check);
    expect(result!.output).toEndWith('["POST","other.example","1, 2","text/x","hello"]');
    await run(probeHttp, check);
    expect(ports.size).toBe(2);
  });

  test("follows redirects unless told not to", async () => {
    const address = await httpServer((request, response) => {
      if (request.url === "/a") response.writeHead(302, { Location: "/b" }).end("moved");
      else if (request.url === "/loop") response.writeHead(302, { Location: "/loop" }).end();
      else response.end("there");
    });
    const http = `http://${address}/a`;
    expect((await run(probeHttp, { http }))!.status).toBe("passing");
    const stayed = await run(probeHttp, { http, disableRedirects: true });
    expect(stayed).toMatchObject({
      status: "critical",
      output: `HTTP GET ${http}: 302 Found Output: moved`,
    });
    const looped = await run(probeHttp, { http: `http://${address}/loop` });
    expect(looped!.output).toBe(`Get "http://${address}/loop": stopped after 10 redirects`);
  });

  test("keeps the last bytes of a long body", async () => {
    const address = await httpServer((_, response) => response.end("x".repeat(5000) + "end"));
    const result = await run(probeHttp, { http: `http://${address}/` }, { outputMax: 10 });
    expect(result!.output).toEndWith("Output: xxxxxxxend");
  });

  test("says why it failed as Consul does", async () => {
    const address = await closedAddress();
    expect((await run(probeHttp, { http: `http://${address}/` }))!.output).toBe(
      `Get "http://${address}/": dial tcp ${address}: connect: connection refused`,
    );
    const silent = await listen(createTcp((socket) => socket.on("error", () => {})));
    const late = await run(probeHttp, { http: `http://${silent}/` }, { timeoutMs: 100 });
    expect(late!.output).toContain("context deadline exceeded");
    expect((await run(probeHttp, { http: "nonsense" }))!.status).toBe("critical");
  });
});

describe("tcp and udp", () => {
  test("a connection passes, a refusal and a bad address are critical", async () => {
    const address = await listen(createTcp((socket) => socket.destroy()));
    expect(await run(probeTcp, { tcp: address })).toMatchObject({
      status: "passing",
      output: `TCP connect ${address}: Success`,
    });
    const closed = await closedAddress();
    expect((await run(probeTcp, { tcp: closed }))!.output).toBe(
      `dial tcp ${closed}: connect: connection refused`,
    );
    expect((await run(probeTcp, { tcp: "localhost" }))!.output).toBe(
      "dial tcp: address localhost: missing port in address",
    );
    const plain = await run(probeTcp, { tcp: address, tcpUseTls: true });
    expect(plain!.status).toBe("critical");
  });

  test("udp: an answer or silence passes, an ICMP refusal is critical", async () => {
    const server = createSocket("udp4");
    cleanups.push(() => server.close());
    await new Promise<void>((resolve) => server.bind(0, "127.0.0.1", () => resolve()));
    server.on("message", (_, from) => server.send("hi", from.port, from.address));
    const address = `127.0.0.1:${server.address().port}`;
    expect((await run(probeUdp, { udp: address }))!.output).toBe(`UDP connect ${address}: Success`);
    server.removeAllListeners("message");
    expect((await run(probeUdp, { udp: address }, { timeoutMs: 50 }))!.status).toBe("passing");
    const closed = await closedAddress();
    expect(await run(probeUdp, { udp: closed })).toMatchObject({
      status: "critical",
      output: `read udp ${closed}: read: connection refused`,
    });
  });
});

describe("script", () => {
  const sh = (text: string) => ({ args: ["sh", "-c", text] });

  test("exit codes, both outputs, final newline kept", async () => {
    expect(await run(probeScript, sh("echo fine"))).toEqual({
      status: "passing",
      output: "fine\n",
      isFinal: false,
    });
    expect((await run(probeScript, sh("echo hm >&2; exit 1")))!.status).toBe("warning");
    expect(await run(probeScript, sh("echo bad >&2; exit 2"))).toMatchObject({
      status: "critical",
      output: "bad\n",
    });
    expect((await run(probeScript, sh("kill -9 $$")))!.status).toBe("critical");
  });

  test("long output keeps its end and says how much there was", async () => {
    const result = await run(probeScript, sh("printf 0123456789"), { outputMax: 4 });
    expect(result!.output).toBe("Captured 4 of 10 bytes\n...\n6789");
  });

  test("a timeout kills the whole group and shows at once", async () => {
    const result = await run(probeScript, sh("echo begun; sleep 60 & sleep 60"), {
      timeoutMs: 300,
    });
    expect(result).toEqual({
      status: "critical",
      output: "Timed out (300ms) running check\n\nbegun\n",
      isFinal: true,
    });
  });

  test("a program that is not there is critical at once", async () => {
    expect(await run(probeScript, { args: ["no-such-program-x"] })).toEqual({
      status: "critical",
      output: 'exec: "no-such-program-x": executable file not found in $PATH',
      isFinal: true,
    });
  });
});

describe("HTTP/2", () => {
  async function healthServer(status: number): Promise<string> {
    const server = createHttp2();
    server.on("stream", (stream: ServerHttp2Stream) => {
      const chunks: Uint8Array[] = [];
      stream.on("data", (chunk: Uint8Array) => chunks.push(chunk));
      stream.on("end", () => {
        const service = Buffer.concat(chunks).subarray(7).toString();
        if (service === "none") {
          stream.respond({
            ":status": 200,
            "grpc-status": "5",
            "grpc-message": "unknown%20service",
          }, {
            endStream: true,
          });
          return;
        }
        stream.respond({ ":status": 200, "content-type": "application/grpc" }, {
          waitForTrailers: true,
        });
        stream.on("wantTrailers", () => stream.sendTrailers({ "grpc-status": "0" }));
        stream.end(Buffer.from([0, 0, 0, 0, 2, 8, status]));
      });
    });
    return await listen(server as unknown as ReturnType<typeof createTcp>);
  }

  test("grpc: serving passes, everything else is critical", async () => {
    const good = await healthServer(1);
    expect(await run(probeGrpc, { grpc: `${good}/web` })).toMatchObject({
      status: "passing",
      output: `gRPC check ${good}/web: success`,
    });
    expect((await run(probeGrpc, { grpc: `${good}/none` }))!.output).toBe(
      "rpc error: code = NotFound desc = unknown service",
    );
    const bad = await healthServer(2);
    expect((await run(probeGrpc, { grpc: bad }))!.output).toBe(
      `gRPC ${bad} serving status: NOT_SERVING`,
    );
    const closed = await closedAddress();
    expect((await run(probeGrpc, { grpc: closed }))!.output).toContain("connection refused");
  });

  test("h2ping: an acknowledged ping passes", async () => {
    const address = await healthServer(1);
    expect(await run(probeH2ping, { h2ping: address, h2pingUseTls: false })).toMatchObject({
      status: "passing",
      output: "HTTP2 ping was successful",
    });
    const closed = await closedAddress();
    expect((await run(probeH2ping, { h2ping: closed, h2pingUseTls: false }))!.output).toBe(
      `Failed to dial to ${closed}: dial tcp ${closed}: connect: connection refused`,
    );
  });
});

test("docker: runs in the container through the engine's socket", async () => {
  const dir = mkdtempSync("/tmp/curia-docker-");
  const path = `${dir}/docker.sock`;
  const asked: unknown[] = [];
  await listen(
    createHttp(async (request, response) => {
      let body = "";
      for await (const chunk of request) body += chunk;
      asked.push([request.method, request.url, body === "" ? null : JSON.parse(body)]);
      if (request.url!.includes("/none/")) {
        response.writeHead(404).end('{"message":"No such container: none"}');
      } else if (request.url!.endsWith("/exec")) response.writeHead(201).end('{"Id":"e1"}');
      else if (request.url!.endsWith("/start")) response.end("hello\r\n");
      else response.end('{"ExitCode":1}');
    }),
    path,
  );
  process.env.DOCKER_HOST = `unix://${path}`;
  const check = { dockerContainerId: "c1", args: ["/check", "x"] };
  expect(await run(probeDocker, check)).toMatchObject({ status: "warning", output: "hello\r\n" });
  expect(asked.map((call) => (call as unknown[])[1])).toEqual([
    "/containers/c1/exec",
    "/exec/e1/start",
    "/exec/e1/json",
  ]);
  const none = await run(probeDocker, { ...check, dockerContainerId: "none" });
  expect(none).toMatchObject({ status: "critical", output: "No such container: none" });
  delete process.env.DOCKER_HOST;
});

test("the tail buffer keeps the last bytes however they come", () => {
  for (const size of [1, 3, 7, 100]) {
    const tail = new TailBuffer(10);
    const text = "abcdefghijklmnopqrstuvwxyz".repeat(40);
    for (let i = 0; i < text.length; i += size) tail.write(Buffer.from(text.slice(i, i + size)));
    expect(tail.text()).toBe("qrstuvwxyz");
    expect(tail.written).toBe(text.length);
  }
});
