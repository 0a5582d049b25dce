// Keeps a node's daemons running: starts them in the table's order, starts again what ends, keeps
// the last lines of each, and stops them in the reverse order.

import { finalStatus } from "#shared/final-error.ts";
import { Child } from "./child.ts";
import type { ChildCommand, Ending } from "./child.ts";
import type { LineLevel } from "./log-lines.ts";
import { Restarts } from "./restarts.ts";

const keptLinesMax = 200;
/** Lines shown when a daemon dies. */
const lastLinesShown = 10;
/** How long a daemon may take to stop before it is killed. */
const stopMs = 5_000;

export interface Supervised {
  name: string;
  /** From 1. */
  instance: number;
  command: ChildCommand;
}

export interface SupervisorEvents {
  /** A log line of a daemon. */
  line(daemon: string, line: string): void;
  /** What the supervisor itself has to say. */
  log(level: LineLevel, message: string, fields?: Record<string, unknown>): void;
  /** A daemon cannot run, however often it is started: the node has to stop. */
  gaveUp(daemon: string): void;
}

interface Post {
  spec: Supervised;
  label: string;
  child: Child | undefined;
  restarts: Restarts;
  restartCount: number;
  timer: ReturnType<typeof setTimeout> | undefined;
  lines: string[];
  whenEnded: (() => void) | undefined;
}

export interface PostStatus {
  daemon: string;
  instance: number;
  pid: number | undefined;
  restartCount: number;
  lines: readonly string[];
}

export class Supervisor {
  readonly #events: SupervisorEvents;
  readonly #posts: Post[];
  #isStopping = false;

  constructor(supervised: readonly Supervised[], events: SupervisorEvents) {
    this.#events = events;
    this.#posts = supervised.map((spec) => ({
      spec,
      label: spec.instance === 1 ? spec.name : `${spec.name}.${spec.instance}`,
      child: undefined,
      restarts: new Restarts(),
      restartCount: 0,
      timer: undefined,
      lines: [],
      whenEnded: undefined,
    }));
  }

  /** Starts the daemons that are meant and do not run yet. */
  start(isMeant: (daemon: string) => boolean = () => true): void {
    for (const post of this.#posts) {
      const isStarted = post.child !== undefined || post.timer !== undefined;
      if (!isStarted && !this.#isStopping && isMeant(post.spec.name)) this.#run(post);
    }
  }

  status(): PostStatus[] {
    return this.#posts.map((post) => ({
      daemon: post.spec.name,
      instance: post.spec.instance,
      pid: post.child?.pid,
      restartCount: post.restartCount,
      lines: post.lines,
    }));
  }

  /** Stops every daemon, the last of the table first, and resolves when none is left. */
  async stop(): Promise<void> {
    this.#isStopping = true;
    for (const post of this.#posts) clearTimeout(post.timer);
    for (const post of [...this.#posts].reverse()) await this.#stopOne(post);
  }

  /** Ends every daemon at once, without ceremony. */
  kill(): void {
    this.#isStopping = true;
    for (const post of this.#posts) {
      clearTimeout(post.timer);
      post.child?.signal("SIGKILL");
    }
  }

  #run(post: Post): void {
    post.timer = undefined;
    post.child = new Child(post.spec.command, {
      line: (line) => {
        post.lines.push(line);
        if (post.lines.length > keptLinesMax) post.lines.shift();
        this.#events.line(post.label, line);
      },
      ended: (how) => this.#ended(post, how),
    });
    this.#events.log("debug", "Started daemon", { daemon: post.label, pid: post.child.pid });
  }

  #ended(post: Post, how: Ending): void {
    post.child = undefined;
    post.whenEnded?.();
    if (this.#isStopping) return;
    if (how.status === finalStatus) {
      this.#events.log("error", "Daemon cannot go on, and starting it again will not help", {
        daemon: post.label,
        last_lines: post.lines.slice(-lastLinesShown),
      });
      this.#events.gaveUp(post.label);
      return;
    }
    const delayMs = post.restarts.delayAfter(how.ranMs);
    if (delayMs === undefined) {
      this.#events.log("error", "Daemon keeps failing since the start", {
        daemon: post.label,
        last_lines: post.lines.slice(-lastLinesShown),
      });
      this.#events.gaveUp(post.label);
      return;
    }
    post.restartCount++;
    this.#events.log("error", "Daemon ended, starting it again", {
      daemon: post.label,
      status: how.status,
      signal: how.signal,
      ran_ms: Math.round(how.ranMs),
      delay_ms: delayMs,
      last_lines: post.lines.slice(-lastLinesShown),
    });
    post.timer = setTimeout(() => this.#run(post), delayMs);
  }

  async #stopOne(post: Post): Promise<void> {
    const { child } = post;
    if (child === undefined || child.hasEnded) return;
    const ended = new Promise<void>((resolve) => post.whenEnded = resolve);
    child.signal("SIGTERM");
    const killer = setTimeout(() => {
      this.#events.log("warn", "Daemon did not stop in time and is killed", {
        daemon: post.label,
      });
      child.signal("SIGKILL");
    }, stopMs);
    await ended;
    clearTimeout(killer);
  }
}
