/** Draws that the same seed repeats. */
export type Random = {
  /** A whole number from 0 to below `end`. */
  below(end: number): number;
  /** A whole number from `least` to `most`, both included. */
  between(least: number, most: number): number;
  chance(probability: number): boolean;
  /** One of some items, of which there must be one. */
  pick<Item>(items: readonly Item[]): Item;
  /** One of some items, each as likely as its weight says. */
  weighted<Item extends { readonly weight: number }>(items: readonly Item[]): Item;
};

/** Draws by a seed and a name: who draws under another name draws something else. */
export function randomOf(seed: number, name: string): Random {
  let state = seed >>> 0;
  for (const character of name) state = Math.imul(state ^ character.charCodeAt(0), 0x01_00_01_93) >>> 0;
  // mulberry32: small, and good enough to choose by.
  const draw = (): number => {
    state = (state + 0x6d_2b_79_f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296;
  };
  const below = (end: number): number => Math.floor(draw() * end);
  return {
    below,
    between: (least, most) => least + below(most - least + 1),
    chance: (probability) => draw() < probability,
    pick: (items) => chosen(items[below(items.length)]),
    weighted(items) {
      let left = draw() * items.reduce((sum, { weight }) => sum + weight, 0);
      return chosen(items.find(({ weight }) => (left -= weight) < 0) ?? items.at(-1));
    },
  };
}

function chosen<Item>(item: Item | undefined): Item {
  if (item === undefined) throw new Error('there is nothing to choose from');
  return item;
}
