import { describe, expect, it } from 'vitest';
import type { AccountCommand } from '../../src/commands/account-decider.ts';
import { seal } from '../../src/events/chain.ts';
import type { StoredEvent } from '../../src/events/event-types.ts';
import type { Json } from '../../src/events/canonical.ts';
import type { Metadata } from '../../src/events/metadata.ts';
import { commit, credits, grant, reserve, START, use } from '../support/account-samples.ts';
import { MemoryLog } from '../support/memory-log.ts';
import { envelopeOf } from '../support/random-commands.ts';
import { type SoakAccount, soakAccount } from './accounts.ts';
import { LogCheck } from './check-log.ts';
import type { Sent } from './clients.ts';
import { APP } from './draft.ts';

/* That the soak's look at the log sees what it is there to see: a sound log passes, and each fault is named. */

type Written = { readonly events: readonly StoredEvent[]; readonly sent: readonly Sent[]; readonly account: SoakAccount };

const COMMANDS: readonly (readonly [key: string, kind: Sent['kind'], command: AccountCommand])[] = [
  ['k-grant', 'grant', grant({ amount: credits(10) })],
  ['k-use', 'use', use(credits(2))],
  ['k-reserve', 'reserve', reserve({ amount: credits(4) })],
  ['k-commit', 'commit', commit(3, credits(3))],
];

/** An account with five credits, of which the soak knows all, and one refusal. */
function sound(): Written {
  const log = new MemoryLog();
  const account = soakAccount('u1', true);
  account.sum = credits(5);
  Object.assign(account.exact ?? {}, { available: credits(5), reserved: 0 });
  const sent = COMMANDS.map(([key, kind, command]) => {
    log.run([envelopeOf(account.stream, command, { app: APP, key, commandId: `run of ${key}` })], START);
    return { ...of(account, key, kind), status: 200, token: tokenOf(account, log.events.length - 1), written: 'own' as const };
  });
  const refused = { ...of(account, 'k-refused', 'use'), status: 402, token: '', written: 'nothing' as const };
  return { events: log.events, sent: [...sent, refused], account };
}

function of({ stream }: SoakAccount, key: string, kind: Sent['kind']) {
  return { key, kind, stream, app: APP, method: 'POST', path: '/', body: '{}', text: '{}' } as const;
}

function tokenOf({ stream }: SoakAccount, revision: number): string {
  return Buffer.from(JSON.stringify([[stream, revision]])).toString('base64url');
}

function findingsOf({ events, sent, account }: Written): readonly string[] {
  const check = new LogCheck(sent);
  for (const event of events) check.take(event);
  return check.findings([account]);
}

/** An event as another run of a command, or another command, would have written it behind the last one. */
function again(written: Written, at: number, more: Partial<Metadata>): Written {
  const { events } = written;
  const event = events[at];
  const last = events.at(-1);
  if (event === undefined || last === undefined) throw new Error('there is no such event');
  const metadata = { ...(JSON.parse(event.metadata) as Metadata), prevHash: last.hash.toString('base64url'), ...more };
  const { stream, type } = event;
  const sealed = seal({ stream, revision: events.length, type, data: JSON.parse(event.data) as Json, metadata });
  return { ...written, events: [...events, sealed] };
}

function changed(written: Written, key: string, change: Partial<Sent>): Written {
  return { ...written, sent: written.sent.map((one) => (one.key === key ? { ...one, ...change } : one)) };
}

describe('the look at the log', () => {
  it('passes a log that is as it was answered', () => {
    expect(findingsOf(sound())).toEqual([]);
  });

  it('misses what was acknowledged', () => {
    const written = sound();
    expect(findingsOf({ ...written, events: written.events.slice(0, -1) })).toEqual([
      'k-commit (commit) was acknowledged, and does not stand in the log',
      'account-u1 has 8000000 micro-credits, and the answers leave 5000000',
      'account-u1 has 4000000 and holds 4000000, and its client was told 5000000 and 0',
    ]);
  });

  it('finds a key that stands there twice', () => {
    expect(findingsOf(again(sound(), 1, { commandId: 'another run' }))).toEqual(
      expect.arrayContaining([
        'account-u1@5 (CreditsGranted) was written by another run of k-grant',
        'k-grant stands in the log 2 times',
      ]),
    );
  });

  it('finds what was refused and written all the same', () => {
    const written = changed(sound(), 'k-use', { status: 402, written: 'nothing' });
    expect(findingsOf(written)).toEqual(['k-use was refused with 402, and stands in the log']);
  });

  it('finds what nobody sent', () => {
    const written = sound();
    const sent = written.sent.filter(({ key }) => key !== 'k-use');
    expect(findingsOf({ ...written, sent })).toEqual([
      'account-u1@2 (CreditsConsumed) stands under the key k-use, which nobody sent',
    ]);
  });

  it('finds an answer that names another event, and one to something else', () => {
    const written = sound();
    const named = changed(written, 'k-use', { token: tokenOf(written.account, 1) });
    expect(findingsOf(named)).toEqual(['k-use stands at account-u1@2, and was answered with [["account-u1",1]]']);
    expect(findingsOf(changed(written, 'k-use', { kind: 'release' }))).toEqual([
      'k-use (release) stands in the log as CreditsConsumed',
    ]);
  });

  it('finds credits that the answers do not add up to, and an account that is nobody’s', () => {
    const written = sound();
    expect(findingsOf({ ...written, account: { ...written.account, sum: credits(6) } })).toEqual([
      'account-u1 has 5000000 micro-credits, and the answers leave 6000000',
    ]);
    const stranger = soakAccount('u2', false);
    expect(findingsOf({ ...written, account: stranger })).toEqual(["account-u1 is nobody's account"]);
  });
});
