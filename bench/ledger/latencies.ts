/** How fine latencies are told apart, and up to where, in µs. */
const STEP_US = 10;
const STEPS = 500_000;

/** Latencies of many commands in a fixed room: counts by steps of 10 µs, up to 5 s. */
export class Latencies {
  readonly #counts = new Uint32Array(STEPS);
  #total = 0;

  get total(): number {
    return this.#total;
  }

  /** Adds one, in ms. */
  add(ms: number): void {
    const step = Math.min(STEPS - 1, Math.floor((ms * 1_000) / STEP_US));
    this.#counts[step] = (this.#counts[step] ?? 0) + 1;
    this.#total += 1;
  }

  /** Adds all of another one's. */
  addAll(others: Latencies): void {
    for (let step = 0; step < STEPS; step += 1) this.#counts[step] = (this.#counts[step] ?? 0) + (others.#counts[step] ?? 0);
    this.#total += others.#total;
  }

  /** The latency that a share (0 to 1) of all stayed below, in ms. */
  quantile(share: number): number {
    const wanted = this.#total * share;
    let seen = 0;
    for (let step = 0; step < STEPS; step += 1) {
      seen += this.#counts[step] ?? 0;
      if (seen >= wanted && seen > 0) return ((step + 1) * STEP_US) / 1_000;
    }
    return 0;
  }
}

/** The middle one of some numbers. */
export function median(numbers: readonly number[]): number {
  const sorted = numbers.toSorted((a, b) => a - b);
  return sorted[Math.floor(sorted.length / 2)] ?? 0;
}

export function mean(numbers: readonly number[]): number {
  return numbers.reduce((sum, one) => sum + one, 0) / numbers.length;
}
