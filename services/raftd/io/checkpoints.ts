// When the state is made durable, by what was applied and by the space it takes; and what consensus is
// told then, so that it may let go of the log.

import type { Store } from "../state/store.ts";
import type { OnStep } from "./steps.ts";

export interface CheckpointsParts {
  /** The store is another one after a snapshot was installed. */
  files: { readonly current: Store };
  /** Makes the state durable apart from this thread; false when a reader is in the way. */
  checkpoint(store: Store): Promise<boolean>;
  /** Whether that is due for the space that the state takes. */
  isDue(store: Store, isIdle: boolean): boolean;
  /** The state is durable up to the index. */
  taken(index: number, stateBytes: number): void;
  onStep: OnStep;
  /** Applied entries between two checkpoints. */
  entries: number;
  intervalMs: number;
}

export class Checkpoints {
  readonly #parts: CheckpointsParts;
  readonly #timer: Timer;
  #appliedIndex = 0;
  /** The state is durable up to here; of what it held at the start that is not known. */
  #durableIndex = 0;
  #isUnderWay = false;
  #isStopped = false;

  constructor(parts: CheckpointsParts) {
    this.#parts = parts;
    this.#timer = setInterval(() => this.#tidy(), parts.intervalMs);
  }

  applied(index: number): void {
    this.#appliedIndex = index;
    const { entries, isDue, files } = this.#parts;
    if (index - this.#durableIndex >= entries || isDue(files.current, false)) this.#begin();
  }

  /** The state is another file, synced. */
  installed(index: number): void {
    this.#appliedIndex = this.#durableIndex = index;
  }

  stop(): void {
    this.#isStopped = true;
    clearInterval(this.#timer);
  }

  #tidy(): void {
    const { files, isDue } = this.#parts;
    this.#appliedIndex = files.current.applied().index;
    const isIdle = this.#appliedIndex === this.#durableIndex;
    if (!isIdle || isDue(files.current, true)) this.#begin();
    // What was in the way of compaction may be gone: a peer that was behind, a snapshot under way.
    else this.#tell(files.current);
  }

  #tell(store: Store): void {
    this.#parts.taken(this.#durableIndex, store.space.usedBytes);
    this.#parts.onStep("checkpoint-told");
  }

  #begin(): void {
    if (this.#isUnderWay || this.#isStopped) return;
    const { files, checkpoint } = this.#parts;
    const store = files.current;
    const index = this.#appliedIndex;
    this.#isUnderWay = true;
    checkpoint(store).catch(() => false).then((isDurable) => {
      this.#isUnderWay = false;
      // When a reader was in the way, the next batch tries again.
      if (!isDurable || this.#isStopped || files.current !== store) return;
      this.#durableIndex = index;
      this.#tell(store);
    });
  }
}
