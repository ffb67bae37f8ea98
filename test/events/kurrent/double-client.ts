import { randomUUID } from 'node:crypto';
import { type EventData, EventStoreDBClient, jsonEvent, type ResolvedEvent } from '@eventstore/db-client';
import { vi } from 'vitest';
import { startKurrentDouble } from '../../support/kurrent/double.ts';

/*
 * The real client, on the server at EVENTSTORE_URL or on a double: what a test says of one has to hold on the other.
 */

export type Connected = {
  readonly client: EventStoreDBClient;
  readonly url: string;
  close(): Promise<void>;
};

/** Connects to what is to be tested. Whoever calls closes it. */
export async function connect(): Promise<Connected> {
  const given = process.env['EVENTSTORE_URL'];
  const double = given === undefined ? await startKurrentDouble() : undefined;
  const url = double?.url ?? given ?? '';
  const client = EventStoreDBClient.connectionString(url);
  return {
    client,
    url,
    async close() {
      await client.dispose();
      await double?.close();
    },
  };
}

/** A name that no other test uses. */
export const named = (what: string): string => `${what}-${randomUUID()}`;

/** Events, each with its number as data. */
export function numbered(count: number, from = 0): EventData[] {
  return Array.from({ length: count }, (_, nth) => event(from + nth));
}

export function event(data: number | string, id: string = randomUUID()): EventData {
  return jsonEvent({ id, type: 'Numbered', data: { data } });
}

/** Credentials with the call make the client take Append instead of BatchAppend. */
export const ONE_BY_ONE = { credentials: { username: 'admin', password: 'changeit' } };

export async function all<Item>(items: AsyncIterable<Item>): Promise<Item[]> {
  const found: Item[] = [];
  for await (const item of items) found.push(item);
  return found;
}

/** Events as `name@revision`, the name without what makes it unique. */
export function places(events: readonly ResolvedEvent[]): string[] {
  return events.map(({ event }) => `${event?.streamId.split('-')[0]}@${event?.revision}`);
}

/** What happens to a subscription, in order. */
export type Seen = { readonly seen: string[]; readonly errors: unknown[]; until(what: string | (() => boolean)): Promise<void> };

type Subscribed = {
  on(name: string, listener: (...args: never[]) => void): unknown;
};

const WITHIN_MS = 10_000;

/** Takes down what happens to a subscription, beside the checkpoints, which are to be pushed. */
export function watch(subscription: Subscribed): Seen {
  const seen: string[] = [];
  const errors: unknown[] = [];
  const note = (what: string) => () => void seen.push(what);
  subscription.on('confirmation', note('confirmed'));
  subscription.on('caughtUp', note('caught up'));
  subscription.on('fellBehind', note('fell behind'));
  subscription.on('data', (item: ResolvedEvent) => void seen.push(...places([item])));
  subscription.on('error', (error: unknown) => {
    errors.push(error);
    seen.push('error');
  });
  subscription.on('end', note('end'));
  return {
    seen,
    errors,
    until: async (what) => {
      const isThere = typeof what === 'string' ? () => seen.includes(what) : what;
      await vi.waitUntil(isThere, { timeout: WITHIN_MS, interval: 5 }).catch(() => {
        throw new Error(`Only saw: ${seen.join(', ')}`);
      });
    },
  };
}
