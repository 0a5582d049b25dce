// Writes MessagePack byte for byte as memberlist's codec does: the old raw family (no str8, no bin),
// smallest unsigned integers. With `extended` the newer types, as Consul writes its user events.

const utf8 = new TextEncoder();

export class Writer {
  #bytes: Uint8Array;
  #view: DataView;
  #length = 0;
  readonly #extended: boolean;

  constructor(extended = false) {
    this.#extended = extended;
    this.#bytes = new Uint8Array(256);
    this.#view = new DataView(this.#bytes.buffer);
  }

  get length(): number {
    return this.#length;
  }

  finish(): Uint8Array {
    return this.#bytes.slice(0, this.#length);
  }

  byte(value: number): void {
    this.#room(1);
    this.#bytes[this.#length++] = value;
  }

  uint16(value: number): void {
    this.#room(2);
    this.#view.setUint16(this.#length, value);
    this.#length += 2;
  }

  uint32(value: number): void {
    this.#room(4);
    this.#view.setUint32(this.#length, value);
    this.#length += 4;
  }

  append(bytes: Uint8Array): void {
    this.#room(bytes.length);
    this.#bytes.set(bytes, this.#length);
    this.#length += bytes.length;
  }

  nil(): void {
    this.byte(0xc0);
  }

  boolean(value: boolean): void {
    this.byte(value ? 0xc3 : 0xc2);
  }

  integer(value: number): void {
    if (value < 0) return this.#negative(value);
    if (value < 0x80) return this.byte(value);
    if (value < 0x100) {
      this.byte(0xcc);
      this.byte(value);
    } else if (value < 0x1_0000) {
      this.byte(0xcd);
      this.uint16(value);
    } else if (value < 0x1_0000_0000) {
      this.byte(0xce);
      this.uint32(value);
    } else {
      this.byte(0xcf);
      this.#wide(value);
    }
  }

  float(value: number): void {
    this.byte(0xcb);
    this.#room(8);
    this.#view.setFloat64(this.#length, value);
    this.#length += 8;
  }

  raw(value: Uint8Array | null): void {
    if (value === null) return this.nil();
    if (this.#extended) this.#binHead(value.length);
    else this.#rawHead(value.length);
    this.append(value);
  }

  text(value: string): void {
    const bytes = utf8.encode(value);
    this.#rawHead(bytes.length);
    this.append(bytes);
  }

  map(count: number): void {
    if (count < 16) return this.byte(0x80 | count);
    this.byte(count < 0x1_0000 ? 0xde : 0xdf);
    if (count < 0x1_0000) this.uint16(count);
    else this.uint32(count);
  }

  array(count: number): void {
    if (count < 16) return this.byte(0x90 | count);
    this.byte(count < 0x1_0000 ? 0xdc : 0xdd);
    if (count < 0x1_0000) this.uint16(count);
    else this.uint32(count);
  }

  #rawHead(length: number): void {
    if (length < 32) this.byte(0xa0 | length);
    else if (length < 0x100 && this.#extended) {
      this.byte(0xd9);
      this.byte(length);
    } else if (length < 0x1_0000) {
      this.byte(0xda);
      this.uint16(length);
    } else {
      this.byte(0xdb);
      this.uint32(length);
    }
  }

  #binHead(length: number): void {
    if (length < 0x100) {
      this.byte(0xc4);
      this.byte(length);
    } else if (length < 0x1_0000) {
      this.byte(0xc5);
      this.uint16(length);
    } else {
      this.byte(0xc6);
      this.uint32(length);
    }
  }

  #negative(value: number): void {
    if (value >= -32) return this.byte(value & 0xff);
    if (value >= -0x8000_0000) {
      this.byte(0xd2);
      this.uint32(value >>> 0);
    } else {
      this.byte(0xd3);
      this.#wide(value);
    }
  }

  #wide(value: number): void {
    const high = Math.floor(value / 0x1_0000_0000);
    this.uint32(high >>> 0);
    this.uint32((value - high * 0x1_0000_0000) >>> 0);
  }

  #room(extra: number): void {
    if (this.#length + extra <= this.#bytes.length) return;
    const grown = new Uint8Array(Math.max(this.#bytes.length * 2, this.#length + extra));
    grown.set(this.#bytes.subarray(0, this.#length));
    this.#bytes = grown;
    this.#view = new DataView(grown.buffer);
  }
}
