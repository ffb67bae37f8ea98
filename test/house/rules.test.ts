import { beforeAll, describe, expect, it } from 'vitest';
import { type Finding, lintTree } from './lint-tree.ts';

/* The rules that the project depends on are on, shown on files that break them. */

const LONG_BODY = Array.from({ length: 71 }, (_, line) => `  console.log(${line});`);

const FILES: ReadonlyMap<string, readonly string[]> = new Map([
  ['src/commands/half.ts', ['export const half = (amount: number) => amount / 2;']],
  ['src/events/amounts.ts', ['export const toCredits = (amount: number) => amount / 1_000_000;']],
  [
    'src/api/text.ts',
    ['export const read = (text: string) => parseFloat(text);', 'export const write = (one: number) => one.toFixed(6);'],
  ],
  ['src/commands/clock.ts', ['export const at = () => Date.now();', 'export const draw = () => Math.random();']],
  ['src/events/loose.ts', ['export async function fire(work: () => Promise<void>) {', '  work();', '}']],
  // A text, never compiled: what the linter is to refuse.
  ['src/events/untyped.ts', ['export const one = (value: any) => value;', '// @ts-ignore', 'export const two = one(1);']],
  [
    'src/events/kinds.ts',
    [
      "export function name(kind: 'a' | 'b') {",
      '  switch (kind) {',
      "    case 'a':",
      '      return 1;',
      '  }',
      '  return 2;',
      '}',
    ],
  ],
  ['src/events/long.ts', ['export function long() {', ...LONG_BODY, '}']],
  ['test/long.test.ts', ["describe('much', () => {", ...LONG_BODY, '});', "it('is long', () => {", ...LONG_BODY, '});']],
  ['src/events/large.ts', Array.from({ length: 301 }, (_, line) => `export const one${line} = ${line};`)],
  ['src/events/round.ts', ["import { b } from './trip.ts';", 'export const a = () => b;']],
  ['src/events/trip.ts', ["import { a } from './round.ts';", 'export const b = () => a;']],
]);

describe('the rules of the house', () => {
  let findings: readonly Finding[];

  beforeAll(() => {
    findings = lintTree(FILES);
  });

  it.each([
    ['a division in a decision', 'src/commands/half.ts:1', 'no-division'],
    ['parseFloat', 'src/api/text.ts:1', 'no-restricted-globals'],
    ['toFixed', 'src/api/text.ts:2', 'no-restricted-properties'],
    ['a clock in a decision', 'src/commands/clock.ts:1', 'no-restricted-properties'],
    ['chance in a decision', 'src/commands/clock.ts:2', 'no-restricted-properties'],
    ['a promise that nobody awaits', 'src/events/loose.ts:2', 'no-floating-promises'],
    ['any', 'src/events/untyped.ts:1', 'no-explicit-any'],
    ['ts-ignore', 'src/events/untyped.ts:2', 'ban-ts-comment'],
    ['a switch that forgets a case', 'src/events/kinds.ts:2', 'switch-exhaustiveness-check'],
    ['a function longer than a screen', 'src/events/long.ts:1', 'max-lines-per-function'],
    ['a test longer than a screen', 'test/long.test.ts:74', 'short-functions'],
    ['a file of more than 300 lines', 'src/events/large.ts:301', 'max-lines'],
    ['modules that import each other', 'src/events/round.ts:1', 'no-cycle'],
  ])('find %s', (_, place, rule) => {
    expect(findings).toContainEqual({ place, rule });
  });

  it.each([
    ['the one division', 'src/events/amounts.ts:1', 'no-division'],
    ['a long list of tests', 'test/long.test.ts:1', 'short-functions'],
  ])('let pass %s', (_, place, rule) => {
    expect(findings).not.toContainEqual({ place, rule });
  });
});
