// Small files that are replaced whole. Writes to one path never overlap and the last one wins;
// directory syncs are shared by all writes that wait for one.

import { open, rename, rm } from "node:fs/promises";
import { dirname } from "node:path";

interface Order {
  /** Null: the file must go. */
  text: string | null;
  isDurable: boolean;
  done: PromiseWithResolvers<void>;
}

export class AtomicFiles {
  /** What waits for the write in progress, by path. */
  readonly #next = new Map<string, Order | undefined>();
  readonly #dirs = new Map<string, DirSync>();

  /** Resolves when the file is replaced (or gone) and, if durable, survives a power cut. */
  write(path: string, text: string | null, isDurable: boolean): Promise<void> {
    const busy = this.#next.has(path);
    const waiting = this.#next.get(path);
    if (waiting !== undefined) {
      waiting.text = text;
      waiting.isDurable ||= isDurable;
      return waiting.done.promise;
    }
    const order: Order = { text, isDurable, done: Promise.withResolvers<void>() };
    this.#next.set(path, busy ? order : undefined);
    if (!busy) void this.#work(path, order);
    return order.done.promise;
  }

  async #work(path: string, first: Order): Promise<void> {
    for (let order: Order | undefined = first; order !== undefined;) {
      const { done } = order;
      await this.#replace(path, order).then(done.resolve, done.reject);
      const next = this.#next.get(path);
      if (next === undefined) this.#next.delete(path);
      else this.#next.set(path, undefined);
      order = next;
    }
  }

  async #replace(path: string, order: Order): Promise<void> {
    if (order.text === null) {
      await rm(path, { force: true });
    } else {
      const fresh = `${path}.tmp`;
      const file = await open(fresh, "w", 0o600);
      try {
        await file.writeFile(order.text);
        if (order.isDurable) await file.sync();
      } finally {
        await file.close();
      }
      await rename(fresh, path);
    }
    if (order.isDurable) await this.#syncDir(dirname(path));
  }

  #syncDir(dir: string): Promise<void> {
    let sync = this.#dirs.get(dir);
    if (sync === undefined) this.#dirs.set(dir, sync = new DirSync(dir));
    return sync.request();
  }
}

/** One sync at a time; who asks while one runs waits for the next, which covers all of them. */
class DirSync {
  readonly #dir: string;
  #running: Promise<void> | undefined;
  #next: Promise<void> | undefined;

  constructor(dir: string) {
    this.#dir = dir;
  }

  request(): Promise<void> {
    if (this.#running === undefined) return this.#start();
    this.#next ??= this.#running.catch(() => {}).then(() => {
      this.#next = undefined;
      return this.#start();
    });
    return this.#next;
  }

  #start(): Promise<void> {
    const sync = async () => {
      const dir = await open(this.#dir, "r");
      try {
        await dir.sync();
      } finally {
        await dir.close();
      }
    };
    const running = sync().finally(() => {
      if (this.#running === running) this.#running = undefined;
    });
    return this.#running = running;
  }
}
