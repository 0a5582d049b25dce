// Docker check: runs a command in a container through the engine's API and judges its exit code.

import { request } from "node:http";
import type { CheckDefinition } from "#shared/config/definitions.ts";
import { TailBuffer } from "./output.ts";
import { critical, type Probe } from "./probe.ts";
import { statusOf } from "./script.ts";

const socketDefault = "unix:///var/run/docker.sock";

export const probeDocker: Probe = async (check, context) => {
  const output = new TailBuffer(context.outputMax);
  const { signal } = context;
  const timer = new AbortController();
  const timeout = context.timeoutMs > 0
    ? setTimeout(() => timer.abort(), context.timeoutMs)
    : undefined;
  const engine = new Engine(AbortSignal.any([signal, timer.signal]));
  try {
    const created = await engine.post(
      `/containers/${encodeURIComponent(check.dockerContainerId)}/exec`,
      {
        AttachStdin: false,
        AttachStdout: true,
        AttachStderr: true,
        Tty: true,
        Cmd: command(check),
      },
    );
    const { Id } = JSON.parse(created.toString()) as { Id: string };
    await engine.post(`/exec/${Id}/start`, { Detach: false, Tty: true }, output);
    const ended = await engine.get(`/exec/${Id}/json`);
    const { ExitCode } = JSON.parse(ended.toString()) as { ExitCode: number | null };
    return { status: statusOf(ExitCode), output: output.textWithHead(), isFinal: false };
  } catch (error) {
    return signal.aborted ? null : critical((error as Error).message);
  } finally {
    clearTimeout(timeout);
  }
};

function command(check: CheckDefinition): string[] {
  return check.args.length > 0 ? check.args : [check.shell || process.env.SHELL || "/bin/sh"];
}

class Engine {
  readonly #signal: AbortSignal;
  readonly #host = process.env.DOCKER_HOST || socketDefault;

  constructor(signal: AbortSignal) {
    this.#signal = signal;
  }

  get(path: string): Promise<Buffer> {
    return this.#send("GET", path, undefined);
  }

  post(path: string, body: unknown, output?: TailBuffer): Promise<Buffer> {
    return this.#send("POST", path, JSON.stringify(body), output);
  }

  #send(method: string, path: string, body?: string, output?: TailBuffer): Promise<Buffer> {
    const url = new URL(this.#host);
    const where = url.protocol === "unix:"
      ? { socketPath: url.pathname, headers: { Host: "docker" } }
      : { host: url.hostname, port: Number(url.port || 2375), headers: {} };
    const headers = {
      ...where.headers,
      ...(body === undefined ? {} : {
        "Content-Type": "application/json",
        "Content-Length": String(Buffer.byteLength(body)),
      }),
    };
    return new Promise((resolve, reject) => {
      const options = { ...where, path, method, headers, agent: false as const };
      const sent = request({ ...options, signal: this.#signal }, (response) => {
        const chunks: Uint8Array[] = [];
        response.on("data", (chunk: Uint8Array) => {
          if (output !== undefined) output.write(chunk);
          else chunks.push(chunk);
        });
        response.on("error", reject);
        response.on("end", () => {
          const text = Buffer.concat(chunks);
          const isGood = (response.statusCode ?? 500) < 300;
          if (isGood) resolve(text);
          else reject(new Error(errorText(path, response.statusCode ?? 0, text.toString())));
        });
      });
      sent.on("error", reject);
      sent.end(body);
    });
  }
}

function errorText(path: string, code: number, body: string): string {
  try {
    return (JSON.parse(body) as { message: string }).message;
  } catch {
    return `docker: ${path} answered ${code}: ${body.slice(0, 200)}`;
  }
}
