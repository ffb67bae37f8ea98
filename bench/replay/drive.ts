import { performance } from 'node:perf_hooks';
import type { Answer, Client } from './client.ts';
import { fromCredits, toCredits } from './credits.ts';
import { noTotals, type Totals } from './expected.ts';
import type { Request, User } from './plan.ts';

const ROUTES = '/api/v1/internal/credits';

/** What a run did and how long its commands took, in ms. */
export type Run = {
  readonly totals: Totals;
  readonly latencies: readonly number[];
  readonly seconds: number;
  /** The token of each user's last write, by rank. */
  readonly tokens: ReadonlyMap<number, string>;
  readonly lastToken: string | undefined;
};

export type Driving = {
  readonly client: Client;
  /** How many users act at once. */
  readonly concurrency: number;
  /** The name of a user in this run. */
  readonly nameOf: (user: User) => string;
  readonly onRequest: () => void;
};

/** Gives every user what they start with. */
export async function grantAll(users: readonly User[], { client, concurrency, nameOf }: Driving): Promise<void> {
  await inParallel(users, concurrency, async (user) => {
    const name = nameOf(user);
    if (user.start === 0n) return;
    const body = `{"userId":"${name}","amount":${toCredits(user.start)},"reason":"replay","referenceId":"start"}`;
    must(await client.post(`${ROUTES}/grant`, { app: 'shop', key: `${name}-start`, body }), 200);
  });
}

/** Makes all requests: those of a user one after the other, users in parallel, so that the outcome is determined. */
export async function driveAll(users: readonly User[], driving: Driving): Promise<Run> {
  const totals = noTotals();
  const latencies: number[] = [];
  const tokens = new Map<number, string>();
  let lastToken: string | undefined;
  const started = performance.now();
  await inParallel(users, driving.concurrency, async (user) => {
    const name = driving.nameOf(user);
    const command = async (route: string, request: Request, body: string): Promise<Answer> => {
      const sent = performance.now();
      const answer = await driving.client.post(`${ROUTES}/${route}`, {
        app: request.app,
        key: `${name}-${request.row}-${route}`,
        body,
      });
      latencies.push(performance.now() - sent);
      if (answer.token !== undefined) {
        tokens.set(user.rank, answer.token);
        lastToken = answer.token;
      }
      return answer;
    };
    for (const request of user.requests) {
      await driveOne(name, request, command, totals);
      driving.onRequest();
    }
  });
  return { totals, latencies, seconds: (performance.now() - started) / 1_000, tokens, lastToken };
}

type Command = (route: string, request: Request, body: string) => Promise<Answer>;

async function driveOne(name: string, request: Request, command: Command, totals: Totals): Promise<void> {
  totals.requests += 1;
  const hold = `{"userId":"${name}","amount":${toCredits(request.hold)},"reason":"tokens","appId":"${request.app}"}`;
  const held = must(await command('reserve', request, hold), 200, 402);
  if (held.status === 402) {
    totals.refused += 1;
    return;
  }
  totals.held += fromCredits(held.body['amount']);
  const reservation = JSON.stringify(held.body['reservationId']);
  if (request.release) {
    const given = must(await command('refund-reservation', request, `{"reservationId":${reservation},"reason":"failed"}`), 200);
    totals.released += 1;
    totals.returned += fromCredits(given.body['released']);
    return;
  }
  const cost = `{"reservationId":${reservation},"amount":${toCredits(request.cost)}}`;
  const taken = must(await command('commit', request, cost), 200);
  totals.used += fromCredits(taken.body['creditsUsed']);
  totals.returned += fromCredits(taken.body['released']);
}

/** The answer, where it has one of the statuses. */
function must(answer: Answer, ...statuses: readonly number[]): Answer {
  if (statuses.includes(answer.status) || (statuses.includes(200) && answer.status === 201)) return answer;
  throw new Error(`answered ${answer.status}, not ${statuses.join(' or ')}: ${JSON.stringify(answer.body)}`);
}

/** Works through the items in order, so many at once. The first error ends it. */
export async function inParallel<Item>(
  items: readonly Item[],
  concurrency: number,
  work: (item: Item) => Promise<void>,
): Promise<void> {
  let next = 0;
  const lane = async (): Promise<void> => {
    for (let item = items[next++]; item !== undefined; item = items[next++]) await work(item);
  };
  try {
    await Promise.all(Array.from({ length: concurrency }, lane));
  } catch (error) {
    next = items.length;
    throw error;
  }
}
