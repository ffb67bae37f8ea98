import { performance } from 'node:perf_hooks';
import type { Answer, Client } from './client.ts';
import { fromCredits, toCredits } from './credits.ts';
import { inParallel, type Run } from './drive.ts';
import type { Expected, Totals } from './expected.ts';
import type { User } from './plan.ts';

const CATCH_UP_WITHIN_MS = 60_000;

type Checking = { readonly client: Client; readonly concurrency: number; readonly nameOf: (user: User) => string };

/** How long the read side takes, in ms, until it shows the last write. */
export async function lagOf(run: Run, users: readonly User[], { client, nameOf }: Checking): Promise<number> {
  const last = users.find(({ rank }) => run.tokens.get(rank) === run.lastToken);
  if (last === undefined) return 0;
  const started = performance.now();
  await readBalance(client, nameOf(last), run.lastToken);
  return performance.now() - started;
}

/** Holds every user's balance against the plain sum; the differences, in words. */
export async function differencesOf(
  run: Run,
  users: readonly User[],
  expected: { readonly accounts: ReadonlyMap<number, Expected>; readonly totals: Totals },
  { client, concurrency, nameOf }: Checking,
): Promise<readonly string[]> {
  const differences: string[] = [];
  const compare = (what: string, is: bigint, shouldBe: bigint): void => {
    if (is !== shouldBe) differences.push(`${what}: is ${toCredits(is)}, should be ${toCredits(shouldBe)}`);
  };
  await inParallel(users, concurrency, async (user) => {
    const name = nameOf(user);
    const { body } = await readBalance(client, name, run.tokens.get(user.rank));
    const should = expected.accounts.get(user.rank) ?? { available: 0n, spent: 0n };
    compare(`${name} balance`, fromCredits(body['balance']), should.available);
    compare(`${name} totalSpent`, fromCredits(body['totalSpent']), should.spent);
    compare(`${name} totalEarned`, fromCredits(body['totalEarned']), user.start);
    compare(`${name} reserved`, fromCredits(body['reserved']), 0n);
  });
  for (const what of ['held', 'used', 'returned'] as const) compare(`credits ${what}`, run.totals[what], expected.totals[what]);
  for (const what of ['requests', 'refused', 'released'] as const) {
    if (run.totals[what] !== expected.totals[what]) {
      differences.push(`${what}: is ${run.totals[what]}, should be ${expected.totals[what]}`);
    }
  }
  return differences;
}

/** A balance that shows at least a write. The service waits two seconds for it at the most, so it is asked again. */
async function readBalance(client: Client, name: string, atLeast: string | undefined): Promise<Answer> {
  const deadline = Date.now() + CATCH_UP_WITHIN_MS;
  for (;;) {
    const answer = await client.get(`/api/v1/internal/credits/balance/${encodeURIComponent(name)}`, atLeast);
    if (answer.status === 200) return answer;
    if (answer.status !== 409 || Date.now() > deadline) {
      throw new Error(`the balance of ${name} answered ${answer.status}: ${JSON.stringify(answer.body)}`);
    }
  }
}
