/**
 * What the two services charge, in micro-credits a token (1 credit = 1,000,000), and the largest answer they give: a
 * request is let in only when that could be paid. Made up, in the range of what such services cost.
 */
export type Price = { readonly context: bigint; readonly generated: bigint; readonly largestAnswer: bigint };

export const PRICES = {
  /** 0.00015 credits a token of context, 0.0006 a token of the answer. */
  code: { context: 150n, generated: 600n, largestAnswer: 2_000n },
  /** 0.00025 credits a token of context, 0.00125 a token of the answer. */
  chat: { context: 250n, generated: 1_250n, largestAnswer: 1_000n },
} as const satisfies Record<string, Price>;

export type App = keyof typeof PRICES;
