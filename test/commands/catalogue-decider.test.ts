import { describe, expect, it, test } from 'vitest';
import { type CatalogueCommand, catalogueDecider } from '../../src/commands/catalogue-decider.ts';
import {
  type Catalogue,
  evolve,
  findPackage,
  initialCatalogue,
  MAX_MODES,
  MAX_OPERATIONS,
  MAX_PACKAGES,
  modeOf,
  priceOf,
} from '../../src/commands/catalogue.ts';
import type { Decision } from '../../src/commands/decider.ts';
import { micro } from '../../src/events/amounts.ts';
import { type CatalogueEvent, catalogueSchemas } from '../../src/events/catalogue-events.ts';
import { readEvent, type Recorded } from '../../src/events/event-types.ts';
import type { Metadata } from '../../src/events/metadata.ts';
import { price, sold } from '../support/catalogue-samples.ts';
import { eventFixture } from '../support/event-fixtures.ts';

const METADATA: Metadata = {
  about: [],
  actor: { kind: 'service', app: 'shop', key: 'k1' },
  at: '2026-11-02T10:00:00.000Z',
  causationId: null,
  claims: [],
  commandId: 'c1',
  correlationId: 'c1',
  idempotencyKey: null,
  prevHash: '',
  requestHash: null,
  schema: 1,
};

/** What happened to the catalogue; revisions count from 0. */
function given(...events: readonly CatalogueEvent[]) {
  const catalogue = events.reduce<Catalogue>(
    (before, event, revision) => evolve(before, { ...event, revision, metadata: METADATA }),
    initialCatalogue,
  );
  return {
    catalogue,
    when(command: CatalogueCommand) {
      const decision = decide(command, catalogue);
      return {
        // Reads as in emmett; nobody awaits it.
        // oxlint-disable-next-line unicorn/no-thenable
        then: (expected: CatalogueEvent | { readonly code: string } | 'unchanged') => expect(seen(decision)).toEqual(expected),
      };
    },
  };
}

function decide(command: CatalogueCommand, catalogue: Catalogue): Decision<CatalogueEvent> {
  const { actor } = METADATA;
  const context = { now: 0, stream: 'catalogue', app: 'shop', actor, revision: 0 };
  const facts = { claimed: () => undefined, standing: () => undefined };
  return catalogueDecider.decide(command, catalogue, facts, context);
}

function seen(decision: Decision<CatalogueEvent>): unknown {
  switch (decision.kind) {
    case 'append':
      expect(decision.events).toHaveLength(1);
      return decision.events[0];
    case 'reject':
      return decision.rejection;
    case 'repeat':
    case 'unchanged':
      return decision.kind;
    default:
      return decision satisfies never;
  }
}

function dataOf<Command extends CatalogueCommand>(command: Command): Omit<Command, 'type'> {
  return Object.fromEntries(Object.entries(command).filter(([name]) => name !== 'type')) as Omit<Command, 'type'>;
}

const priced = (what?: Parameters<typeof price>[0]): CatalogueEvent => ({ type: 'OperationPriced', data: dataOf(price(what)) });
const defined = (what?: Parameters<typeof sold>[0]): CatalogueEvent => ({ type: 'PackageDefined', data: dataOf(sold(what)) });
const free = { uses: 3, period: 'lifetime' } as const;

describe('prices', () => {
  it('prices an operation', () => {
    given().when(price({ free })).then(priced({ free }));
  });

  it.each([
    ['cost', { cost: micro(9_000_000) }],
    ['per', { per: 10 }],
    ['unit', { unit: 'images' }],
    ['free allowance', { free }],
  ])('says another %s', (_, what) => {
    given(priced()).when(price(what)).then(priced(what));
  });

  it('takes a free allowance back', () => {
    given(priced({ free })).when(price()).then(priced());
  });

  it('writes nothing where nothing changes, in whichever order the members stand', () => {
    given(priced({ free }))
      .when(price({ free: { period: 'lifetime', uses: 3 } }))
      .then('unchanged');
  });

  it('tells operations of one name apart by their app', () => {
    const { catalogue } = given(priced(), priced({ app: 'chat', cost: micro(1) }));
    expect(priceOf(catalogue, 'picture', 'image')).toEqual({ ...dataOf(price()), revision: 0 });
    expect(priceOf(catalogue, 'chat', 'image')).toMatchObject({ cost: 1, revision: 1 });
    expect(priceOf(catalogue, 'image', 'picture')).toBeUndefined();
  });

  it('names the revision that set the price in force', () => {
    const { catalogue } = given(priced(), priced({ app: 'chat' }), priced({ cost: micro(3) }));
    expect(priceOf(catalogue, 'picture', 'image')).toMatchObject({ cost: 3, revision: 2 });
  });

  it('retires an operation', () => {
    const retired: CatalogueEvent = { type: 'OperationRetired', data: { app: 'picture', operation: 'image' } };
    given(priced()).when({ type: 'RetireOperation', app: 'picture', operation: 'image' }).then(retired);
    expect(priceOf(given(priced(), retired).catalogue, 'picture', 'image')).toBeUndefined();
    given(priced(), retired).when(price()).then(priced());
  });

  it('refuses to retire what has no price', () => {
    given(priced())
      .when({ type: 'RetireOperation', app: 'chat', operation: 'image' })
      .then({ code: 'operation_not_found', app: 'chat', operation: 'image' } as { code: string });
  });

  it('knows nothing by the names that every object has', () => {
    const { catalogue } = given(priced());
    expect(priceOf(catalogue, '__proto__', 'constructor')).toBeUndefined();
    const odd = given(priced({ app: '__proto__', operation: 'toString' })).catalogue;
    expect(priceOf(JSON.parse(JSON.stringify(odd)) as Catalogue, '__proto__', 'toString')).toMatchObject({ revision: 0 });
  });
});

describe('packages', () => {
  it('defines a package, and changes it', () => {
    given().when(sold()).then(defined());
    given(defined())
      .when(sold({ priceEuroCents: 599 }))
      .then(defined({ priceEuroCents: 599 }));
  });

  it('writes nothing where nothing changes, in whichever order the members stand', () => {
    given(defined({ metadata: { a: 1, b: [2] } }))
      .when(sold({ metadata: { b: [2], a: 1 } }))
      .then('unchanged');
  });

  const retired: CatalogueEvent = { type: 'PackageRetired', data: { id: 'small' } };

  it('retires a package once, which is known further on', () => {
    given(defined()).when({ type: 'RetirePackage', id: 'small' }).then(retired);
    given(defined(), retired).when({ type: 'RetirePackage', id: 'small' }).then('unchanged');
    const { catalogue } = given(defined(), retired);
    expect(findPackage(catalogue, 'small')).toEqual({ ...dataOf(sold()), active: false, revision: 1 });
  });

  it('sells a retired package again', () => {
    given(defined(), retired).when(sold()).then(defined());
    expect(findPackage(given(defined(), retired, defined()).catalogue, 'small')).toMatchObject({ active: true, revision: 2 });
  });

  it('refuses to retire what never was', () => {
    given(defined()).when({ type: 'RetirePackage', id: 'large' }).then({ code: 'package_not_found' });
  });
});

describe('modes', () => {
  const set = (mode: 'enforce' | 'observe'): CatalogueEvent => ({ type: 'AppModeSet', data: { app: 'picture', mode } });

  it('enforces where nobody said otherwise', () => {
    expect(modeOf(given().catalogue, 'picture')).toBe('enforce');
    given().when({ type: 'SetAppMode', app: 'picture', mode: 'enforce' }).then('unchanged');
  });

  it('observes an app, and no other', () => {
    given().when({ type: 'SetAppMode', app: 'picture', mode: 'observe' }).then(set('observe'));
    const { catalogue } = given(set('observe'));
    expect([modeOf(catalogue, 'picture'), modeOf(catalogue, 'chat')]).toEqual(['observe', 'enforce']);
    given(set('observe')).when({ type: 'SetAppMode', app: 'picture', mode: 'observe' }).then('unchanged');
  });

  it('enforces again', () => {
    given(set('observe')).when({ type: 'SetAppMode', app: 'picture', mode: 'enforce' }).then(set('enforce'));
    expect(modeOf(given(set('observe'), set('enforce')).catalogue, 'picture')).toBe('enforce');
  });
});

describe('bounds', () => {
  const padded = (count: number) => Array.from({ length: count }, (_, index) => `n${String(index).padStart(5, '0')}`);
  const full: Catalogue = {
    operations: padded(MAX_OPERATIONS).map((operation, revision) => ({ ...dataOf(price({ operation })), revision })),
    packages: padded(MAX_PACKAGES).map((id, revision) => ({ ...dataOf(sold({ id })), active: true, revision })),
    modes: padded(MAX_MODES).map((app, revision) => ({ app, mode: 'observe', revision })),
  };

  it.each<[string, CatalogueCommand, number]>([
    ['operations', price(), MAX_OPERATIONS],
    ['packages', sold(), MAX_PACKAGES],
    ['modes', { type: 'SetAppMode', app: 'picture', mode: 'observe' }, MAX_MODES],
  ])('refuses more %s than a catalogue holds', (limit, command, maximum) => {
    expect(seen(decide(command, full))).toEqual({ code: 'limit_exceeded', limit, maximum });
  });

  it.each<[string, CatalogueCommand]>([
    ['operation', price({ operation: 'n00007', cost: micro(1) })],
    ['package', sold({ id: 'n00007', sortOrder: 2 })],
    ['app', { type: 'SetAppMode', app: 'n00007', mode: 'enforce' }],
  ])('changes the %s of a full catalogue', (_, command) => {
    expect(decide(command, full).kind).toBe('append');
  });
});

test('whatever the order, the lists stay sorted and nothing stands twice', () => {
  const names = ['m', 'a', 'z', 'B', 'é', 'a', 'zz', 'm', ''];
  const { catalogue } = given(
    ...names.flatMap((name): CatalogueEvent[] => [
      priced({ operation: name }),
      priced({ app: name }),
      defined({ id: name }),
      { type: 'AppModeSet', data: { app: name, mode: 'observe' } },
    ]),
  );
  const sorted = [...new Set(names)].sort();
  expect(catalogue.packages.map(({ id }) => id)).toEqual(sorted);
  expect(catalogue.modes.map(({ app }) => app)).toEqual(sorted);
  expect(catalogue.operations.filter(({ app }) => app === 'picture').map(({ operation }) => operation)).toEqual(
    [...new Set([...names, 'image'])].filter((name) => name !== 'image').sort(),
  );
  for (const name of sorted) expect(priceOf(catalogue, name, 'image')).toMatchObject({ app: name });
});

const SKETCH = { ...dataOf(price({ app: 'studio', operation: 'sketch' })), revision: 2 };
const RENDER = {
  app: 'studio',
  operation: 'render',
  cost: micro(3_000_000),
  per: 1,
  unit: 'image',
  free: { uses: 3, period: 'day' },
  revision: 3,
} as const;
const STARTER = {
  id: 'starter',
  name: 'Starter',
  description: 'For half a year of pictures',
  credits: micro(500_000_000),
  priceEuroCents: 499,
  stripePriceId: 'price_1QabcdEF',
  sortOrder: 1,
  metadata: { badge: 'popular', order: [1, 2] },
};

/** What each stored event makes of the catalogue; they stand one behind the other in one stream. */
const AFTER: readonly (readonly [CatalogueEvent['type'], Partial<Catalogue>])[] = [
  ['OperationPriced', { operations: [RENDER, SKETCH] }],
  ['OperationRetired', { operations: [RENDER] }],
  ['PackageDefined', { packages: [{ ...STARTER, active: true, revision: 5 }] }],
  ['PackageRetired', { packages: [{ ...STARTER, active: false, revision: 6 }] }],
  ['AppModeSet', { modes: [{ app: 'studio', mode: 'observe', revision: 7 }] }],
];

test('stored events still evolve a catalogue as they did', () => {
  expect(AFTER.map(([type]) => type).sort()).toEqual(Object.keys(catalogueSchemas).sort());
  AFTER.reduce<Catalogue>(
    (before, [type, changes]) => {
      const found = evolve(before, readEvent(eventFixture(`${type}.v1`)) as Recorded<CatalogueEvent>);
      expect(found).toEqual({ ...before, ...changes });
      return found;
    },
    { ...initialCatalogue, operations: [SKETCH] },
  );
});
