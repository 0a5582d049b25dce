// What to retell and how often: least told first, then longest, then newest; each item a limited
// number of times (memberlist's TransmitLimitedQueue).

export interface Broadcast {
  /** A newer broadcast of the same name replaces this one. */
  name?: string;
  message: Uint8Array;
  /** Reported by `take` or `prune` when the broadcast has been told often enough or was dropped. */
  notify?: string;
}

interface Item extends Broadcast {
  id: number;
}

export function retransmitLimit(mult: number, nodeCount: number): number {
  return mult * Math.ceil(Math.log10(nodeCount + 1));
}

export class TransmitQueue {
  /** Index: times told. Each tier by length descending, newest first. */
  #tiers: Item[][] = [];
  #named = new Map<string, { item: Item; tier: number }>();
  #length = 0;
  #lastId = 0;

  get length(): number {
    return this.#length;
  }

  /** Returns the notify of the broadcast it replaced. */
  add(broadcast: Broadcast): string | undefined {
    const item: Item = { ...broadcast, id: ++this.#lastId };
    let replaced: string | undefined;
    if (item.name !== undefined) {
      const old = this.#named.get(item.name);
      if (old) {
        replaced = old.item.notify;
        this.#remove(old.tier, this.#tiers[old.tier]!.indexOf(old.item));
      }
    }
    this.#insert(item, 0);
    return replaced;
  }

  /** Fills `bytesMax` with messages, each costing `overhead` more; `finished` collects notifies. */
  take(overhead: number, bytesMax: number, limit: number, finished: string[]): Uint8Array[] {
    const messages: Uint8Array[] = [];
    if (this.#length === 0) return messages;
    const again: { item: Item; tier: number }[] = [];
    let left = bytesMax;
    for (let tier = 0; tier < this.#tiers.length; tier++) {
      const items = this.#tiers[tier]!;
      let at = firstFitting(items, left - overhead);
      while (at < items.length) {
        const item = items[at]!;
        this.#remove(tier, at);
        messages.push(item.message);
        left -= item.message.length + overhead;
        if (tier + 1 >= limit) {
          if (item.notify !== undefined) finished.push(item.notify);
        } else again.push({ item, tier: tier + 1 });
        at = Math.max(at, firstFitting(items, left - overhead));
      }
    }
    for (const { item, tier } of again) this.#insert(item, tier);
    return messages;
  }

  /** Drops the most told until at most `lengthMax` are left. */
  prune(lengthMax: number, finished: string[]): void {
    for (let tier = this.#tiers.length - 1; tier >= 0 && this.#length > lengthMax; tier--) {
      const items = this.#tiers[tier]!;
      while (items.length > 0 && this.#length > lengthMax) {
        const { notify } = items.at(-1)!;
        this.#remove(tier, items.length - 1);
        if (notify !== undefined) finished.push(notify);
      }
    }
  }

  #insert(item: Item, tier: number): void {
    while (this.#tiers.length <= tier) this.#tiers.push([]);
    const items = this.#tiers[tier]!;
    let low = 0;
    let high = items.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (isBefore(items[middle]!, item)) low = middle + 1;
      else high = middle;
    }
    items.splice(low, 0, item);
    this.#length++;
    if (item.name !== undefined) this.#named.set(item.name, { item, tier });
  }

  #remove(tier: number, at: number): void {
    const [item] = this.#tiers[tier]!.splice(at, 1);
    this.#length--;
    if (item!.name !== undefined) this.#named.delete(item!.name);
  }
}

function isBefore(a: Item, b: Item): boolean {
  if (a.message.length !== b.message.length) return a.message.length > b.message.length;
  return a.id > b.id;
}

function firstFitting(items: Item[], bytesMax: number): number {
  let low = 0;
  let high = items.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (items[middle]!.message.length > bytesMax) low = middle + 1;
    else high = middle;
  }
  return low;
}
