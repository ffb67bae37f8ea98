import { expect, it, vi } from 'vitest';
import type { Span } from '../../../src/events/kurrent/fact-index.ts';
import { IndexWriter } from '../../../src/events/kurrent/index-writer.ts';
import { Tails } from '../../../src/events/kurrent/tails.ts';

/** A span of so many events, each with a claim of its own. */
function spanOf(stream: string, low: number, count: number): Span {
  const claims = Array.from({ length: count }, (_, index) => [`${stream} ${low + 1 + index}`, low + 1 + index] as const);
  return { stream, low, high: low + count, claims, links: [] };
}

it('keeps a bounded number of facts while the index can’t be written, and writes them a few at a time', async () => {
  let away = true;
  let refused = 0;
  const written: (readonly Span[])[] = [];
  const note = async (spans: readonly Span[]): Promise<readonly number[]> => {
    if (away) {
      refused += 1;
      throw new Error('the index is read-only');
    }
    written.push(spans);
    return spans.map(({ high }) => high);
  };
  const writer = new IndexWriter({ note }, new Tails());
  // One account that never rests, and many others.
  for (let low = -1; low < 60_000; low += 1_000) writer.offer(spanOf('hot', low, 1_000));
  for (let stream = 0; stream < 9_000; stream += 1) writer.offer(spanOf(`account-${stream}`, -1, 10));
  await vi.waitUntil(() => refused > 0, { timeout: 5_000, interval: 5 });
  away = false;
  await writer.close();
  const facts = (spans: readonly Span[]): number => spans.reduce((sum, { claims }) => sum + claims.length, 0);
  const all = written.flat();
  expect(facts(all)).toBeGreaterThan(90_000);
  expect(facts(all)).toBeLessThanOrEqual(100_000);
  for (const spans of written) expect(spans.length === 1 || facts(spans) <= 10_000).toBe(true);
  // Whatever is written of a stream is whole.
  for (const { low, high, claims } of all) expect(claims).toHaveLength(high - low);
});
