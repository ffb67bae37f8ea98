import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import type { Answer } from '../support/api-client.ts';
import { createTestDatabase, type TestDatabase } from '../support/database.ts';
import { putForward } from '../support/put-forward.ts';
import { type Service, startService } from '../support/service.ts';

/*
 * docs/guides/asynchronous-work.md tells the truth: its requests are sent, in order, to a service that nobody has used
 * before, and its answers are what comes. Time passes where it says so.
 */

const GUIDE = join(import.meta.dirname, '..', '..', 'docs', 'guides', 'asynchronous-work.md');

/** A request and its answer as the guide shows them. */
type Exchange = {
  readonly title: string;
  /** In ms: how much later it is than the exchange before. */
  readonly later: number;
  readonly method: string;
  readonly path: string;
  readonly body: unknown;
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly answer: unknown;
};

const UNITS: Readonly<Record<string, number>> = { hour: 3_600_000, day: 24 * 3_600_000 };

/** All blocks of `http` in a text: an optional time, the request and its body, the status with headers, the answer. */
function exchangesIn(text: string): readonly Exchange[] {
  return [...text.matchAll(/```http\n([\s\S]*?)\n```/g)].map(([, block = ''], index) => {
    const [request = '', body = '', answered = '', answer = '', ...more] = block.split('\n\n');
    if (answer === '' || more.length > 0) throw new Error(`block ${index} of the guide is no exchange:\n${block}`);
    const [time = '', line = ''] = request.startsWith('#') ? request.split('\n') : ['', request];
    const [, count, unit = ''] = /^# (\d+) (hour|day)s? later$/.exec(time) ?? [];
    if (time !== '' && count === undefined) throw new Error(`not a time: ${time}`);
    const [method = '', path = ''] = line.split(' ');
    const [status = '', ...headers] = answered.split('\n');
    return {
      title: `${index + 1}: ${line.slice(line.lastIndexOf('/') + 1)} → ${status}`,
      later: Number(count ?? 0) * (UNITS[unit] ?? 0),
      method,
      path,
      body: JSON.parse(body),
      status: Number(status),
      headers: Object.fromEntries(headers.map((header) => header.split(': ') as [string, string])),
      answer: JSON.parse(answer),
    };
  });
}

const ISO_TIME = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/;

/** What the guide shows, but for what can't be the same twice: times, and the ids of requests. */
function asShown(shown: unknown, name = ''): unknown {
  if (name === 'requestId') return expect.stringMatching(/^[\da-f-]{36}$/);
  if (typeof shown === 'string') return ISO_TIME.test(shown) ? expect.stringMatching(ISO_TIME) : shown;
  if (Array.isArray(shown)) return shown.map((one) => asShown(one));
  if (typeof shown !== 'object' || shown === null) return shown;
  return Object.fromEntries(Object.entries(shown).map(([member, value]) => [member, asShown(value, member)]));
}

const exchanges = exchangesIn(readFileSync(GUIDE, 'utf8'));

describe('the guide to asynchronous work', () => {
  let database: TestDatabase;
  let service: Service;
  /** In ms: how far the clock of the service was put forward. */
  let ahead = 0;

  beforeAll(async () => {
    database = await createTestDatabase();
    service = await startService({ databaseUrl: database.url });
  });

  afterAll(async () => {
    vi.restoreAllMocks();
    await service?.close();
    await database?.close();
  });

  it('shows every pattern', () => {
    const paths = new Set(exchanges.map(({ path }) => path.slice(path.lastIndexOf('/') + 1)));
    expect([...paths].toSorted()).toEqual(['batch', 'commit', 'grant', 'refund', 'refund-reservation', 'reserve', 'use']);
    expect(exchanges.filter(({ later }) => later > 0)).toHaveLength(2);
    expect(new Set(exchanges.map(({ status }) => status))).toEqual(new Set([200, 402, 409]));
  });

  // One after the other, each on what the one before has left; where one is wrong those behind it may be, too.
  it.each(exchanges)('$title', async ({ later, method, path, body, status, headers, answer }) => {
    ahead += later;
    putForward(service.context.clock, ahead);
    const sentAt = service.context.clock.now();
    const type = { 'content-type': 'application/json' };
    const got = await service.app().send(method, path, JSON.stringify(body), type);
    expect(got.body).toEqual(asShown(answer));
    expect(got.status).toBe(status);
    const replayed = Object.entries(headers).find(([name]) => name === 'Idempotency-Replayed')?.[1] ?? null;
    expect(got.headers.get('idempotency-replayed')).toBe(replayed);
    if (replayed === null) expectEnd(body, got, sentAt);
  });

  /** A hold ends as long after the request as this says, or a quarter of an hour. */
  function expectEnd(body: unknown, got: Answer, sentAt: number): void {
    const { expiresAt } = got.body as { expiresAt?: string };
    if (expiresAt === undefined) return;
    const { ttlSeconds = 900 } = body as { ttlSeconds?: number };
    const lasts = Date.parse(expiresAt) - sentAt;
    expect(Math.abs(lasts - ttlSeconds * 1_000)).toBeLessThan(60_000);
  }
});
