import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { StoredEvent } from '../../src/events/event-types.ts';

const FOLDER = join(import.meta.dirname, '..', 'fixtures', 'events');

/** The names of the stored events that are kept, one of every type and version ever written: `{Type}.v{version}`. */
export function fixtureNames(): readonly string[] {
  return readdirSync(FOLDER).map((file) => file.replace(/\.json$/, ''));
}

/** An event to the letter as it was stored when its version was the newest. */
export function eventFixture(name: string): StoredEvent {
  const stored = JSON.parse(readFileSync(join(FOLDER, `${name}.json`), 'utf8')) as Omit<StoredEvent, 'hash'> & { hash: string };
  return { ...stored, hash: Buffer.from(stored.hash, 'hex') };
}
