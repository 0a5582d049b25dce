// Messages as tables: a schema lists the fields of a Go struct in wire order (sorted by name), and
// gives the encoder, the decoder and the TypeScript type.
import { Reader, WireError } from "./reader.ts";
import { Writer } from "./writer.ts";

export interface Field<T> {
  read(reader: Reader): T;
  write(writer: Writer, value: T): void;
  /** What a missing key means: never anything that could be changed. */
  zero(): T;
  /** Left out of the map when it is zero (Go's omitempty). */
  omitted?(value: T): boolean;
}

// deno-lint-ignore no-explicit-any
type Fields = Record<string, Field<any>>;
export type Of<S> = S extends Schema<infer T> ? T : never;
type Values<F extends Fields> = { [K in keyof F]: F[K] extends Field<infer T> ? T : never };

export interface Schema<T> extends Field<T> {
  encode(value: T, type?: number): Uint8Array;
}

export const text: Field<string> = {
  read: (reader) => reader.text(),
  write: (writer, value) => writer.text(value),
  zero: () => "",
};

export const raw: Field<Uint8Array | null> = {
  read: (reader) => reader.raw(),
  write: (writer, value) => writer.raw(value),
  zero: () => null,
};

export const boolean: Field<boolean> = {
  read: (reader) => reader.boolean(),
  write: (writer, value) => writer.boolean(value),
  zero: () => false,
};

export const float: Field<number> = {
  read: (reader) => reader.float(),
  write: (writer, value) => writer.float(value),
  zero: () => 0,
};

function integer(low: number, high: number): Field<number> {
  return {
    read(reader) {
      const value = reader.integer();
      if (value < low || value > high) {
        throw new WireError(`expected an integer from ${low} to ${high}, but found ${value}`);
      }
      return value;
    },
    write: (writer, value) => writer.integer(value),
    zero: () => 0,
  };
}

export const uint8 = integer(0, 0xff);
export const uint16 = integer(0, 0xffff);
export const uint32 = integer(0, 0xffff_ffff);
/** Lamport times: what a double cannot hold exactly is no time that a pool reaches. */
export const uint53 = integer(0, Number.MAX_SAFE_INTEGER);
export const int64 = integer(-(2 ** 63), 2 ** 63);

export function omitEmpty<T>(field: Field<T>): Field<T> {
  const empty = (value: T) =>
    value === null || value === "" || value === 0 ||
    (value instanceof Uint8Array && value.length === 0);
  return { ...field, omitted: empty };
}

/** A Go slice: nil and empty are told apart. */
export function list<T>(item: Field<T>): Field<T[] | null> {
  return {
    read(reader) {
      if (reader.nil()) return null;
      const items: T[] = [];
      for (let left = reader.arrayCount(); left > 0; left--) items.push(item.read(reader));
      return items;
    },
    write(writer, value) {
      if (value === null) return writer.nil();
      writer.array(value.length);
      for (const entry of value) item.write(writer, entry);
    },
    zero: () => null,
  };
}

export function nullable<T>(field: Field<T>): Field<T | null> {
  return {
    read: (reader) => reader.nil() ? null : field.read(reader),
    write: (writer, value) => value === null ? writer.nil() : field.write(writer, value),
    zero: () => null,
  };
}

/** A Go map with text keys; Go's order is random, ours is the order of insertion. */
export function mapOf<T>(field: Field<T>): Field<Map<string, T> | null> {
  return {
    read(reader) {
      if (reader.nil()) return null;
      const map = new Map<string, T>();
      for (let left = reader.mapCount(); left > 0; left--) {
        const key = reader.text();
        map.set(key, field.read(reader));
      }
      return map;
    },
    write(writer, value) {
      if (value === null) return writer.nil();
      writer.map(value.size);
      for (const [key, entry] of value) {
        writer.text(key);
        field.write(writer, entry);
      }
    },
    zero: () => null,
  };
}

export function struct<F extends Fields>(fields: F): Schema<Values<F>> {
  const names = Object.keys(fields);
  const list = names.map((name) => ({ name, field: fields[name]!, key: encodedKey(name) }));
  const omittable = names.filter((name) => fields[name]!.omitted);
  const zeros = Object.fromEntries(list.map(({ name, field }) => [name, field.zero()]));
  const write = (writer: Writer, value: Values<F>) => {
    const left = omittable.filter((name) => fields[name]!.omitted!(value[name]));
    writer.map(names.length - left.length);
    for (const { name, field, key } of list) {
      if (left.includes(name)) continue;
      writer.append(key);
      field.write(writer, value[name]);
    }
  };
  return {
    write,
    read(reader) {
      const value: Record<string, unknown> = { ...zeros };
      // Peers write the fields in our order: the next one is nearly always the one that comes.
      let next = 0;
      for (let left = reader.mapCount(); left > 0; left--) {
        while (next < list.length && !reader.expect(list[next]!.key)) {
          if (!list[next]!.field.omitted) {
            next = list.length;
            break;
          }
          next++;
        }
        if (next < list.length) {
          const { name, field } = list[next++]!;
          value[name] = field.read(reader);
          continue;
        }
        const name = reader.text();
        if (Object.hasOwn(fields, name)) value[name] = fields[name]!.read(reader);
        else reader.skip();
      }
      return value as Values<F>;
    },
    zero: () => ({ ...zeros }) as Values<F>,
    encode(value, type) {
      const writer = new Writer();
      if (type !== undefined) writer.byte(type);
      write(writer, value);
      return writer.finish();
    },
  };
}

function encodedKey(name: string): Uint8Array {
  const writer = new Writer();
  writer.text(name);
  return writer.finish();
}
