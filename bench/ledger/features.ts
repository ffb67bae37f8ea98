import type { Service } from '../service.ts';
import { CONNECTIONS, type Lane, lanesFrom, type Load, runLoad } from './load.ts';
import { median } from './latencies.ts';
import { readUsage, usageBetween, type Watched } from './processors.ts';
import { type Requests, reservationIdOf, transactionIdOf } from './requests.ts';
import { mustBeFine } from './scenarios.ts';

/*
 * What each feature adds to a command, workers stopped. All are measured in short turns with the plain use by amount, so
 * that what slows the machine for a while slows them all.
 */

/** A command with one feature more than the plain use, which is the first. */
export type FeatureCost = {
  readonly name: string;
  readonly perSecond: number;
  /** Processor time a command in µs, of the API and of Postgres. */
  readonly api: number;
  readonly postgres: number;
  /** Processor time of both, by that of the plain use in the same turn. */
  readonly ratio: number;
};

const ACCOUNTS = 2_000;
const LOTS = 20;
const CREDITS = 100_000;
const MOST_FREE = 1_000_000;
/** Names of operations: one priced, and one that is free so often that it always is. */
const PRICED = 'priced';
const FREE = 'free';

const anyOf = (kind: string): string => `${kind}-${Math.floor(Math.random() * ACCOUNTS)}`;

/** The feature, and what sends it. */
type Feature = { readonly name: string; readonly lanes: () => readonly Lane[] };

function featuresOf(requests: Requests): readonly Feature[] {
  const each = (name: string, next: () => string): Feature => ({ name, lanes: () => lanesFrom(next) });
  const pairs = (name: string, lane: () => Lane): Feature => ({ name, lanes: () => Array.from({ length: CONNECTIONS }, lane) });
  return [
    each('use, by amount', () => requests.use(anyOf('plain'))),
    each('use, by operation', () => requests.useOperation(anyOf('plain'), PRICED)),
    each('use, by operation, within a free allowance', () => requests.useOperation(anyOf('plain'), FREE)),
    each('use, with a description (encrypted)', () => requests.useWithWords(anyOf('plain'))),
    each(`use, of an account with ${LOTS} lots`, () => requests.use(anyOf('lots'))),
    pairs('reserve, and commit', () =>
      inPairs(
        (user) => requests.reserve(user),
        reservationIdOf,
        (_, id) => requests.commit(id),
      ),
    ),
    pairs('use, and refund', () =>
      inPairs(
        (user) => requests.use(user),
        transactionIdOf,
        (user, id) => requests.refund(user, id),
      ),
    ),
    each('grant', grants(requests)),
  ];
}

/** Sends one command, and then another one about what the first one wrote. */
function inPairs(
  first: (user: string) => string,
  idOf: (answer: { status: number; text: string }) => string | undefined,
  second: (user: string, id: string) => string,
): Lane {
  let user = '';
  let open: string | undefined;
  let isFirst = false;
  return {
    next() {
      isFirst = open === undefined;
      if (open !== undefined) return second(user, open);
      user = anyOf('plain');
      return first(user);
    },
    onAnswer(answer) {
      open = isFirst && answer.status < 300 ? idOf(answer) : undefined;
    },
  };
}

function grants(requests: Requests): () => string {
  let granted = 0;
  return () => requests.grantAgain(`granted-${granted % ACCOUNTS}`, 1, (granted += 1));
}

/** Measures each feature in turns, workers stopped. `measure` in ms. */
export async function measureFeatures(
  {
    service,
    requests,
    postmasterPid,
  }: { readonly service: Service; readonly requests: Requests; readonly postmasterPid: number },
  { measure, turns }: { readonly measure: number; readonly turns: number },
): Promise<readonly FeatureCost[]> {
  await prepare(service, requests);
  const features = featuresOf(requests);
  const watched: Watched = { ...service, postmasterPid };
  const costs = features.map((): { perSecond: number; api: number; postgres: number }[] => []);
  for (let turn = 0; turn < turns; turn += 1) {
    for (const [index, { lanes }] of features.entries()) {
      await runLoad(service.port, lanes(), { warmUp: 0, measure: measure / 4 });
      const before = readUsage(watched);
      const load = await runLoad(service.port, lanes(), { warmUp: 0, measure });
      mustBeFine(load);
      const usage = usageBetween(before, readUsage(watched), load.seconds);
      costs[index]?.push({ perSecond: load.perSecond, api: micros(usage.api, load), postgres: micros(usage.postgres, load) });
    }
  }
  const [plain = []] = costs;
  return features.map(({ name }, index) => {
    const own = costs[index] ?? [];
    const ratios = own.map(
      ({ api, postgres }, turn) => (api + postgres) / ((plain[turn]?.api ?? 0) + (plain[turn]?.postgres ?? 0)),
    );
    const middle = (what: 'perSecond' | 'api' | 'postgres'): number => median(own.map((cost) => cost[what]));
    return { name, perSecond: middle('perSecond'), api: middle('api'), postgres: middle('postgres'), ratio: median(ratios) };
  });
}

const micros = (share: number, load: Load): number => (share / load.perSecond) * 1e6;

async function prepare(service: Service, requests: Requests): Promise<void> {
  await service.stopWorker();
  const pending = [
    requests.price(PRICED, 0),
    requests.price(FREE, MOST_FREE),
    ...Array.from({ length: ACCOUNTS }, (_, index) => requests.grant(`plain-${index}`, CREDITS)),
    ...Array.from({ length: ACCOUNTS * LOTS }, (_, index) => requests.grantAgain(`lots-${index % ACCOUNTS}`, CREDITS, index)),
  ];
  let next = 0;
  const load = await runLoad(
    service.port,
    lanesFrom(() => {
      next += 1;
      return pending[next - 1];
    }),
    'until done',
  );
  mustBeFine(load);
}
