import fc from 'fast-check';
import { expect, it } from 'vitest';
import type { CatalogueCommand } from '../../src/commands/catalogue-decider.ts';
import { micro } from '../../src/events/amounts.ts';
import { CATALOGUE_STREAM } from '../../src/events/catalogue-events.ts';
import { listPackages } from '../../src/projections/packages.ts';
import { change, price, sold } from '../support/catalogue-samples.ts';
import { useLedger } from '../support/ledger.ts';
import { expectAsFolded, heads, projectFully } from './projecting.ts';

const bench = useLedger();

/** Applies what was changed meanwhile, and returns the rows. */
async function rows() {
  const { context } = bench.ledger;
  await projectFully(context, await heads(context));
  return context.db.selectFrom('packages').selectAll().orderBy('id').execute();
}

async function changed(command: CatalogueCommand): Promise<number> {
  const outcome = await change(bench.ledger.context, command);
  if (outcome.kind !== 'accepted') throw new Error(`${command.type} was ${outcome.kind}`);
  return outcome.event.revision;
}

const timeOf = async (revision: number) => {
  const [event] = await bench.ledger.context.store.readStream(CATALOGUE_STREAM, { from: revision, limit: 1 });
  return new Date((JSON.parse(event?.metadata ?? '') as { at: string }).at);
};

it('has a row for each package, to the letter of its last definition', async () => {
  await changed(price());
  await changed(sold({ priceEuroCents: 1 }));
  const revision = await changed(
    sold({ description: 'a “week”', stripePriceId: 'price_1', sortOrder: -3, metadata: { b: [1, { c: null }], a: '§' } }),
  );
  expect(await rows()).toEqual([
    {
      id: 'small',
      revision: String(revision),
      name: 'Small',
      description: 'a “week”',
      credits: '500000000',
      price_euro_cents: '499',
      stripe_price_id: 'price_1',
      sort_order: '-3',
      metadata: '{"a":"§","b":[1,{"c":null}]}',
      defined_at: await timeOf(revision),
      retired_at: null,
    },
  ]);
});

it('keeps the row of a retired package, which is listed no more until it is sold again', async () => {
  await changed(sold({ id: 'gone' }));
  await rows();
  const retired = await changed({ type: 'RetirePackage', id: 'gone' });
  // Defined and retired in one go, too.
  await changed(sold({ id: 'brief' }));
  const brief = await changed({ type: 'RetirePackage', id: 'brief' });
  const found = await rows();
  expect(found.map(({ id, revision, retired_at: at }) => [id, revision, at])).toEqual([
    ['brief', String(brief), await timeOf(brief)],
    ['gone', String(retired), await timeOf(retired)],
    ['small', expect.anything(), null],
  ]);
  const listed = async () => (await listPackages(bench.ledger.context.db)).map(({ id }) => id);
  expect(await listed()).toEqual(['small']);
  await changed(sold({ id: 'gone' }));
  await rows();
  expect(await listed()).toEqual(['small', 'gone']);
});

it('lists by place, and by id among those of one place', async () => {
  for (const [id, sortOrder] of [
    ['b', 5],
    ['B', 5],
    ['a', 5],
    ['z', 4],
  ] as const)
    await changed(sold({ id, sortOrder }));
  await rows();
  const listed = (await listPackages(bench.ledger.context.db)).filter(({ sortOrder }) => sortOrder >= 4);
  expect(listed.map(({ id }) => id)).toEqual(['z', 'B', 'a', 'b']);
});

it('is what a fold of the log makes of it, however it is cut', async () => {
  const id = fc.constantFrom('one', 'two', 'three');
  const step = fc.oneof(
    { weight: 3, arbitrary: fc.record({ id, do: fc.constant('define' as const), cents: fc.integer({ min: 1, max: 3 }) }) },
    { weight: 2, arbitrary: fc.record({ id, do: fc.constant('retire' as const) }) },
    { weight: 1, arbitrary: fc.constant({ do: 'project' as const }) },
  );
  await fc.assert(
    fc.asyncProperty(fc.array(step, { minLength: 10, maxLength: 40 }), fc.constantFrom(1, 2, 500), async (steps, together) => {
      for (const one of steps) {
        if (one.do === 'project') await rows();
        else if (one.do === 'retire') await change(bench.ledger.context, { type: 'RetirePackage', id: one.id });
        else await change(bench.ledger.context, sold({ id: one.id, priceEuroCents: one.cents, credits: micro(one.cents) }));
      }
      await rows();
      await expectAsFolded(bench.ledger.context, bench.database.superuser, together);
    }),
    { numRuns: 10, endOnFailure: true },
  );
  const known = new Map(bench.ledger.context.catalogue.latest().packages.map((one) => [one.id, one]));
  const found = await rows();
  expect(found).toHaveLength(known.size);
  for (const { id, revision, retired_at: retired } of found) {
    expect(known.get(id)).toMatchObject({ revision: Number(revision), active: retired === null });
  }
});
