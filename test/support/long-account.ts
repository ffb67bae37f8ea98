import { accountStream, type AccountEventOf } from '../../src/events/account-events.ts';
import { micro } from '../../src/events/amounts.ts';
import { seal } from '../../src/events/chain.ts';
import { keyClaim } from '../../src/events/claims.ts';
import { schemaVersion } from '../../src/events/event-types.ts';
import type { Metadata } from '../../src/events/metadata.ts';
import type { NewEvent, Store } from '../../src/events/store.ts';
import { readAccountEvent } from './read-account-event.ts';

/** Events in one append: KurrentDB takes a mebibyte. */
const TOGETHER = 500;

type Filler = {
  readonly user: string;
  /** The revision of a grant that is still worth `count` micro-credits. */
  readonly lot: number;
  readonly count: number;
  /** Ciphertext that each use carries. */
  readonly personal?: string | null;
};

/**
 * Adds uses of one micro-credit each to an account, under keys of their own: as the write path would have written them,
 * straight into the store, so that a long history takes seconds. A process that knows the account already should be
 * started anew: it is far behind then.
 */
export async function useManyTimes(store: Store, { user, lot, count, personal = null }: Filler): Promise<void> {
  const stream = accountStream(user);
  const [stored] = await store.readStream(stream, { direction: 'backward', limit: 1 });
  if (stored === undefined) throw new Error(`${user} has no account`);
  const { data, metadata, hash, revision: head } = readAccountEvent(stored);
  let { after } = data;
  let prevHash = hash.toString('base64url');
  for (let revision = head + 1; revision <= head + count; ) {
    const expectedRevision = revision - 1;
    const events: NewEvent[] = [];
    for (; revision <= head + count && events.length < TOGETHER; revision += 1) {
      after = { ...after, available: micro(after.available - 1), spent: micro(after.spent + 1) };
      const event = useAt(stream, revision, { after, lot, personal, prevHash, at: metadata.at });
      events.push(event);
      prevHash = event.hash.toString('base64url');
    }
    const [result] = await store.append([{ stream, expectedRevision, events, unclaimed: [] }]);
    if (result?.accepted !== true) throw new Error(`${stream} is written by somebody else`);
  }
}

type Use = Pick<AccountEventOf<'CreditsConsumed'>['data'], 'after' | 'personal'> &
  Pick<Metadata, 'at' | 'prevHash'> & { lot: number };

function useAt(stream: string, revision: number, { after, lot, personal, prevHash, at }: Use): NewEvent {
  const type = 'CreditsConsumed';
  const key = `filler-${revision}`;
  const data: AccountEventOf<'CreditsConsumed'>['data'] = {
    after,
    amount: micro(1),
    appId: null,
    fromAvailable: [[lot, micro(1)]],
    fromHold: [],
    lapsed: [],
    operation: null,
    personal,
    reservation: null,
    returned: [],
  };
  const metadata: Metadata = {
    about: [],
    actor: { app: 'filler', key: 'test', kind: 'service' },
    at,
    causationId: null,
    claims: [keyClaim('app:filler', key)],
    commandId: key,
    correlationId: key,
    idempotencyKey: key,
    prevHash,
    requestHash: null,
    schema: schemaVersion(type),
  };
  const sealed = seal({ stream, revision, type, data, metadata });
  return { ...sealed, claims: metadata.claims, about: [] };
}
