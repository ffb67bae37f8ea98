import { afterAll, beforeAll, expect, it, onTestFinished } from 'vitest';
import { createTestDatabase, type TestDatabase } from '../../support/database.ts';
import { type DoubleOptions, startKurrentDouble } from '../../support/kurrent/double.ts';
import { openTestStore } from '../../support/kurrent-store.ts';
import { batchOf, newStream, plain, stored, written } from '../contract/batches.ts';

/* What is said at the start of a URL or a server that won't do. */

let database: TestDatabase;

beforeAll(async () => {
  database = await createTestDatabase();
});
afterAll(() => database.close());

/** What opening a store says; it must be refused. */
async function refusal(url: string): Promise<string> {
  const opened = await openTestStore(url, database.url).catch((error: unknown) => error as Error);
  if (opened instanceof Error) return opened.message;
  await opened.close();
  throw new Error('the store was opened');
}

async function double(options: DoubleOptions) {
  const server = await startKurrentDouble(options);
  onTestFinished(() => server.close());
  return server;
}

it('names a server that is too old', async () => {
  const { url } = await double({ version: '22.10.5' });
  expect(await refusal(url)).toMatch(/too old \(22\.10\.5\): 23\.10 is the oldest/);
});

it('names a server that takes no batches as too old', async () => {
  const { url } = await double({ version: '20.6.1', batchAppend: false });
  expect(await refusal(url)).toMatch(/too old/);
});

it('says where nothing answers, and shows no password', { timeout: 60_000 }, async () => {
  const message = await refusal('esdb://somebody:very-secret@127.0.0.1:1?tls=false');
  expect(message).toMatch(
    /^The EVENTSTORE_URL \(esdb:\/\/somebody:\*\*\*@127\.0\.0\.1:1\?tls=false\) can't be used: nothing answers there/,
  );
});

it('says where the URL is none', { timeout: 60_000 }, async () => {
  expect(await refusal('esdb://127.0.0.1:notaport')).toMatch(/^The EVENTSTORE_URL .* can't be used: .*notaport|port/i);
});

it('says where one side speaks TLS and the other does not', { timeout: 60_000 }, async () => {
  const plainly = await double({});
  expect(await refusal(`esdb://127.0.0.1:${plainly.port}?tls=true`)).toMatch(/tls|nothing answers/i);
});

it('says where the certificate is not trusted', { timeout: 60_000 }, async () => {
  const secure = await double({ tls: true });
  expect(await refusal(`esdb://127.0.0.1:${secure.port}?tls=true`)).toMatch(/certificate/);
});

it('says where the password is wrong', { timeout: 60_000 }, async () => {
  const secure = await double({ tls: true, credentials: { username: 'ledger', password: 'right' } });
  expect(await refusal(secure.url.replace('right', 'wrong'))).toMatch(/refuses the user or the password/);
});

it('writes and reads over TLS as a user', { timeout: 60_000 }, async () => {
  const secure = await double({ tls: true, credentials: { username: 'ledger', password: 'right' } });
  const { store, close } = await openTestStore(secure.url, database.url);
  onTestFinished(() => close());
  const stream = newStream();
  const events = await written(store, batchOf(stream, plain(2)));
  expect(await store.readStream(stream, { limit: 5 })).toEqual(stored(events));
});

it('waits for a server that is still starting', { timeout: 60_000 }, async () => {
  const server = await double({});
  server.faults.notReady({ times: 3 });
  const { store, close } = await openTestStore(server.url, database.url);
  onTestFinished(() => close());
  await written(store, batchOf(newStream(), plain(1)));
});
