import { Agent, request } from 'node:http';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it, vi } from 'vitest';
import { giveCredits, granted } from '../support/api-client.ts';
import { makeHome } from '../support/own-cluster.ts';
import { killAll, postgresOn } from './children.ts';
import { type Dev, ready, removeHome, startDevChild } from './dev-process.ts';

/* A stop in the middle of work: what was accepted is answered, and what was answered is kept. */

const USER = 'busy-user';
const ROUTE = '/api/v1/internal/credits/use';

let folder: string;
let home: string;

beforeAll(() => {
  folder = makeHome();
  home = join(folder, 'data');
});

afterAll(async () => {
  killAll();
  await removeHome(home);
  await removeHome(folder);
});

/** What became of a request: the status it was answered with, or the code of the error that its connection met. */
type Outcome = { readonly key: string; readonly result: number | string };

/** Sends one request over an agent's connections. */
function useOnce({ url, serviceKey }: Dev, key: string, agent: Agent | false): Promise<Outcome> {
  return new Promise((resolve) => {
    const headers = { 'content-type': 'application/json', 'x-service-key': serviceKey, 'idempotency-key': key };
    const sent = request(`${url}${ROUTE}`, { method: 'POST', agent, headers }, (response) => {
      response.resume();
      response.once('end', () => resolve({ key, result: response.statusCode ?? 0 }));
      response.once('error', (error: NodeJS.ErrnoException) => resolve({ key, result: `half an answer: ${error.code}` }));
    });
    sent.once('error', (error: NodeJS.ErrnoException) => resolve({ key, result: error.code ?? error.message }));
    sent.end(JSON.stringify({ userId: USER, amount: 0.01 }));
  });
}

it('answers what it has accepted when it is told to stop, takes no more, and ends well', { timeout: 120_000 }, async () => {
  const dev = await ready(startDevChild(home));
  await giveCredits(dev.service, USER, 1_000);
  const outcomes: Outcome[] = [];
  let refused = false;
  const agent = new Agent({ keepAlive: true });
  // Half of the clients come with a new connection for each request, half keep theirs.
  const client = async (name: number): Promise<void> => {
    for (let count = 0; !refused; count += 1) {
      const outcome = await useOnce(dev, `stop-${name}-${count}`, name % 2 === 0 ? agent : false);
      outcomes.push(outcome);
      if (outcome.result === 'ECONNREFUSED') refused = true;
    }
  };
  const clients = Array.from({ length: 12 }, (_, name) => client(name));
  await vi.waitUntil(() => outcomes.length > 100, { timeout: 30_000, interval: 5 });
  dev.child.kill('SIGTERM');
  await Promise.all(clients);
  agent.destroy();
  expect(await dev.child.ended()).toEqual({ code: 0, signal: null });
  expect(postgresOn(home)).toBeUndefined();

  const answered = outcomes.filter(({ result }) => result === 200);
  expect(answered.length).toBeGreaterThan(90);
  for (const { result } of outcomes) expect([200, 503, 'ECONNREFUSED', 'ECONNRESET', 'EPIPE']).toContain(result);

  // Who has no answer has no effect either: a connection that was reset had never been accepted.
  const again = await ready(startDevChild(home));
  for (const { key, result } of [...answered.slice(-30), ...outcomes.filter((one) => one.result !== 200)]) {
    const { headers } = granted(await again.service.post(ROUTE, { userId: USER, amount: 0.01 }, { 'idempotency-key': key }));
    expect([key, result, headers.get('idempotency-replayed')]).toEqual([key, result, result === 200 ? 'true' : null]);
  }
  again.child.kill('SIGTERM');
  expect(await again.child.ended()).toEqual({ code: 0, signal: null });
});
