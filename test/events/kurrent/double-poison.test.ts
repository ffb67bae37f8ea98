import { afterEach, expect, it } from 'vitest';
import { killAll, startChild } from '../../entries/children.ts';
import { startKurrentDouble } from '../../support/kurrent/double.ts';

/*
 * An event id that is none is refused, and answered once more when its time is over: that makes the client throw where
 * nobody catches it, and every later append on it hang. Such a client is let loose in a process of its own.
 */

const double = process.env['EVENTSTORE_URL'] === undefined ? await startKurrentDouble() : undefined;
const url = double?.url ?? process.env['EVENTSTORE_URL'] ?? '';

afterEach(async () => {
  killAll();
  await double?.close();
});

it('poisons the client that sent a malformed event id', async () => {
  const child = startChild({ args: ['--import', 'tsx', 'test/events/kurrent/poisoned-client.ts', url] });
  expect(await child.says(/^malformed: (.*)$/m)).toBe('unknown Could not recognize BadRequest');
  expect(await child.says(/^meanwhile: (.*)$/m)).toBe('written');
  expect(await child.says(/^uncaught: (.*)$/m)).toMatch(/undefined is not iterable/);
  expect(await child.says(/^afterwards: (.*)$/m)).toBe('no answer');
  expect(await child.says(/^another client: (.*)$/m)).toBe('written');
});
