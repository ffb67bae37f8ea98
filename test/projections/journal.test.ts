import { describe, expect, it } from 'vitest';
import { credits, refund } from '../support/account-samples.ts';
import { useLedger } from '../support/ledger.ts';
import { projectInCuts } from './projecting.ts';

const bench = useLedger();

describe.each([
  ['event by event', 1],
  ['all in one batch', 500],
])('the journal, %s', (name, together) => {
  const journalOf = async (stream: string) => {
    await projectInCuts(bench.ledger.context, stream, together);
    const { rows } = await bench.database.superuser.query<{ revision: string; leg: number; account: string; amount: string }>(
      `select revision, (leg - 1)::int as leg, account, amount
       from read_model.journal, unnest(accounts, amounts) with ordinality as l (account, amount, leg)
       where stream = $1 order by revision, leg`,
      [stream],
    );
    return rows.map(({ revision, leg, account, amount }) => [Number(revision), leg, account, Number(amount)]);
  };

  it('has the legs of every event in order; a stream’s own accounts go by their kind', async () => {
    const account = bench.ledger.account(`legs ${name}`);
    await account.grant(credits(9));
    const used = await account.use(credits(4));
    await account.execute(refund(used.revision, credits(1)));
    expect(await journalOf(account.stream)).toEqual([
      [1, 0, 'available', credits(9)],
      [1, 1, 'source:promo', -credits(9)],
      [2, 0, 'available', -credits(4)],
      [2, 1, 'consumed:writer', credits(4)],
      [3, 0, 'available', credits(1)],
      [3, 1, 'consumed:writer', -credits(1)],
    ]);
  });

  it('takes an app for no account of the stream, whatever its name', async () => {
    const user = `u1-${together}, "quoted" \\ {braced}`;
    const account = bench.ledger.account(user, `account-${user}`);
    await account.grant(credits(2));
    await account.use(credits(1));
    expect((await journalOf(account.stream)).map(([, , name]) => name)).toEqual([
      'available',
      'source:promo',
      'available',
      `consumed:account-${user}`,
    ]);
  });
});

it('sums to zero for each event and over all accounts', async () => {
  const { superuser } = bench.database;
  const { rows } = await superuser.query<{ legs: number; unbalanced: number }>(
    `select sum(legs)::int as legs, count(*) filter (where sum <> 0)::int as unbalanced
     from (
       select count(*) as legs, sum(amount) as sum from read_model.journal, unnest(amounts) as amount group by stream, revision
     ) e`,
  );
  expect(rows).toEqual([{ legs: 20, unbalanced: 0 }]);
  const total = await superuser.query<{ sum: string }>('select sum(amount) from read_model.journal, unnest(amounts) as amount');
  expect(total.rows).toEqual([{ sum: '0' }]);
});
