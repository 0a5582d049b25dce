// Events in the order of their time; equal times in the order they were added.

export class EventHeap<T> {
  #times: number[] = [];
  #orders: number[] = [];
  #events: T[] = [];
  #lastOrder = 0;

  get size(): number {
    return this.#events.length;
  }

  get nextMs(): number {
    return this.#times[0] ?? Infinity;
  }

  add(atMs: number, event: T): void {
    this.#times.push(atMs);
    this.#orders.push(++this.#lastOrder);
    this.#events.push(event);
    let at = this.#events.length - 1;
    while (at > 0) {
      const parent = (at - 1) >> 1;
      if (!this.#isBefore(at, parent)) break;
      this.#swap(at, parent);
      at = parent;
    }
  }

  take(): T {
    const first = this.#events[0]!;
    this.#swap(0, this.#events.length - 1);
    this.#times.pop();
    this.#orders.pop();
    this.#events.pop();
    let at = 0;
    while (true) {
      let least = at;
      for (const child of [2 * at + 1, 2 * at + 2]) {
        if (child < this.#events.length && this.#isBefore(child, least)) least = child;
      }
      if (least === at) return first;
      this.#swap(at, least);
      at = least;
    }
  }

  #isBefore(a: number, b: number): boolean {
    if (this.#times[a] !== this.#times[b]) return this.#times[a]! < this.#times[b]!;
    return this.#orders[a]! < this.#orders[b]!;
  }

  #swap(a: number, b: number): void {
    const times = this.#times;
    const orders = this.#orders;
    const events = this.#events;
    const time = times[a]!;
    times[a] = times[b]!;
    times[b] = time;
    const order = orders[a]!;
    orders[a] = orders[b]!;
    orders[b] = order;
    const event = events[a]!;
    events[a] = events[b]!;
    events[b] = event;
  }
}
