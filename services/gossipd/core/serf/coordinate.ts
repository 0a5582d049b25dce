// Network coordinates: Vivaldi with heights, adjustment and gravity, as Serf computes them. Seconds
// everywhere. Coordinates travel in the acks of direct probes.
import type { Random } from "#shared/random.ts";
import { Reader } from "../wire/reader.ts";
import { coordinate as coordinateSchema } from "../wire/serf.ts";

export interface Coordinate {
  vec: number[];
  error: number;
  adjustment: number;
  height: number;
}

const dimensions = 8;
const errorMax = 1.5;
const errorWeight = 0.25;
const forceWeight = 0.25;
const adjustmentWindow = 20;
const heightMin = 1e-5;
const latencySamples = 3;
const gravityRho = 150;
const zero = 1e-6;
const rttMaxSeconds = 10;
const pingVersion = 1;

export function originCoordinate(): Coordinate {
  const vec = new Array<number>(dimensions).fill(0);
  return { vec, error: errorMax, adjustment: 0, height: heightMin };
}

export function isValid(coordinate: Coordinate): boolean {
  const { vec, error, adjustment, height } = coordinate;
  return vec.length === dimensions && [...vec, error, adjustment, height].every(Number.isFinite);
}

/** The estimated round trip between two nodes. */
export function distanceSeconds(a: Coordinate, b: Coordinate): number {
  const raw = rawDistance(a, b);
  const adjusted = raw + a.adjustment + b.adjustment;
  return adjusted > 0 ? adjusted : raw;
}

function rawDistance(a: Coordinate, b: Coordinate): number {
  return magnitude(difference(a.vec, b.vec)) + a.height + b.height;
}

export function encodeCoordinate(coordinate: Coordinate): Uint8Array {
  return coordinateSchema.encode({
    Adjustment: coordinate.adjustment,
    Error: coordinate.error,
    Height: coordinate.height,
    Vec: coordinate.vec,
  }, pingVersion);
}

/** Undefined when it is of another version; throws WireError when it cannot be read. */
export function decodeCoordinate(payload: Uint8Array): Coordinate | undefined {
  const reader = new Reader(payload);
  if (reader.byte() !== pingVersion) return undefined;
  const { Vec, Error, Adjustment, Height } = coordinateSchema.read(reader);
  return { vec: Vec ?? [], error: Error, adjustment: Adjustment, height: Height };
}

/** Our own place, moved a little by every measured round trip. */
export class CoordinateModel {
  readonly #random: Random;
  #own = originCoordinate();
  #adjustments = new Array<number>(adjustmentWindow).fill(0);
  #adjustmentAt = 0;
  #latencies = new Map<string, number[]>();
  /** How often a non-finite result sent us back to the origin. */
  resetsTotal = 0;

  constructor(random: Random) {
    this.#random = random;
  }

  get own(): Coordinate {
    return this.#own;
  }

  forget(node: string): void {
    this.#latencies.delete(node);
  }

  /** Returns why the sample is refused. */
  update(node: string, other: Coordinate, rttSeconds: number): string | undefined {
    if (!isValid(other)) return "coordinate is not valid";
    if (!(rttSeconds >= 0 && rttSeconds <= rttMaxSeconds)) {
      return `round trip ${rttSeconds} s is out of range`;
    }
    const rtt = this.#median(node, rttSeconds);
    this.#vivaldi(other, rtt);
    this.#adjust(other, rtt);
    this.#gravitate();
    if (!isValid(this.#own)) {
      this.#own = originCoordinate();
      this.resetsTotal++;
    }
    return undefined;
  }

  #median(node: string, rtt: number): number {
    const samples = this.#latencies.get(node) ?? [];
    samples.push(rtt);
    if (samples.length > latencySamples) samples.shift();
    this.#latencies.set(node, samples);
    return samples.toSorted((a, b) => a - b)[Math.floor(samples.length / 2)]!;
  }

  #vivaldi(other: Coordinate, measured: number): void {
    const own = this.#own;
    const distance = distanceSeconds(own, other);
    const rtt = Math.max(measured, zero);
    const wrongness = Math.abs(distance - rtt) / rtt;
    const weight = own.error / Math.max(own.error + other.error, zero);
    const share = errorWeight * weight;
    const error = Math.min(errorMax, share * wrongness + own.error * (1 - share));
    const moved = this.#pushed(forceWeight * weight * (rtt - distance), other);
    this.#own = { ...moved, error };
  }

  #adjust(other: Coordinate, rtt: number): void {
    this.#adjustments[this.#adjustmentAt] = rtt - rawDistance(this.#own, other);
    this.#adjustmentAt = (this.#adjustmentAt + 1) % adjustmentWindow;
    const sum = this.#adjustments.reduce((a, b) => a + b, 0);
    this.#own.adjustment = sum / (2 * adjustmentWindow);
  }

  #gravitate(): void {
    const origin = originCoordinate();
    const distance = distanceSeconds(origin, this.#own);
    this.#own = this.#pushed(-((distance / gravityRho) ** 2), origin);
  }

  /** Our place after a force away from the other one. */
  #pushed(force: number, other: Coordinate): Coordinate {
    const own = this.#own;
    const apart = difference(own.vec, other.vec);
    const length = magnitude(apart);
    const far = length > zero;
    const unit = far ? apart.map((x) => x / length) : this.#randomUnit();
    const height = far
      ? Math.max(heightMin, (own.height + other.height) * force / length + own.height)
      : own.height;
    return { ...own, vec: own.vec.map((x, i) => x + unit[i]! * force), height };
  }

  #randomUnit(): number[] {
    const vec = Array.from({ length: dimensions }, () => this.#random.between(-0.5, 0.5));
    const length = magnitude(vec);
    if (length > zero) return vec.map((x) => x / length);
    return vec.map((_, i) => i === 0 ? 1 : 0);
  }
}

function difference(a: number[], b: number[]): number[] {
  return a.map((x, i) => x - b[i]!);
}

function magnitude(vec: number[]): number {
  let sum = 0;
  for (const x of vec) sum += x * x;
  return Math.sqrt(sum);
}
