import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { isDeepStrictEqual } from 'node:util';
import { describe, expect, test } from 'vitest';
import type { AccountCommand } from '../../src/commands/account-decider.ts';
import type { Account } from '../../src/commands/account.ts';
import { reject } from '../../src/commands/decider.ts';
import { creditsFromMicro, type Micro } from '../../src/events/amounts.ts';
import {
  commit,
  consumed,
  credits,
  expired,
  granted,
  iso,
  minute,
  opened,
  refund,
  reserved,
  type Sample,
  START,
} from '../support/account-samples.ts';
import { given } from '../support/given.ts';
import { freeze, frozen, revoke, revoked, unfreeze } from '../support/grant-samples.ts';

/*
 * The table of docs/lots.md, cell by cell: what it says is worked out here on a picture of the lot in plain numbers, and
 * is held against what the ledger makes of it.
 */

// The lot: a hundred credits at revision 1 until LOT_ENDS. Thirty others at revision 2 never end. Event 3 consumed of
// the lot, event 4 holds ten of it.
const GRANT = { grant: 1, granted: credits(100) };
const OTHERS = 30;
const HELD = 10;
/** What a commit takes, and what a refund brings back. */
const TAKEN = 4;
const REFUNDED = 40;
const LOT_ENDS = minute(60);
const AFTER_END = minute(61);
const THIRTY_DAYS = 30 * 24 * 60 * 60_000;

/** The lot in credits, what else can be spent, a lot that came anew, and what is owed. */
type Picture = {
  lot: { free: number; held: number; frozen: boolean; ends: number } | null;
  others: number;
  fresh: { free: number; ends: number } | null;
  debt: number;
};

type State = { readonly now: number; readonly history: (holdEnds: number) => readonly Sample[] };

function used(amount: number): readonly Sample[] {
  return [
    opened(),
    granted({ amount: credits(100), source: 'purchase', expiresAt: iso(LOT_ENDS) }),
    granted({ amount: credits(OTHERS), reference: 'r2', priority: 90 }),
    consumed({ amount: credits(amount), fromAvailable: [[1, credits(amount)]] }),
  ];
}

function partlyHeld(holdEnds: number): readonly Sample[] {
  return [...used(40), reserved({ amount: credits(HELD), lots: [[1, credits(HELD)]], expiresAt: iso(holdEnds) })];
}

const FROZEN = frozen({ ...GRANT, amount: credits(50), expiresAt: iso(LOT_ENDS) });
const REVOKED = revoked({
  ...GRANT,
  amount: credits(100),
  revoked: credits(100),
  expiresAt: iso(LOT_ENDS),
  fromAvailable: [
    [1, credits(50)],
    [2, credits(30)],
  ],
  debt: credits(20),
});

const STATES: { readonly [name: string]: State } = {
  open: { now: START, history: () => used(40) },
  'partly held': { now: START, history: partlyHeld },
  frozen: { now: START, history: (holdEnds) => [...partlyHeld(holdEnds), FROZEN] },
  'frozen, past its end': { now: AFTER_END, history: (holdEnds) => [...partlyHeld(holdEnds), FROZEN] },
  ended: { now: AFTER_END, history: (holdEnds) => [...partlyHeld(holdEnds), expired({ lots: [[1, credits(50)]] })] },
  spent: { now: START, history: () => used(100) },
  revoked: { now: START, history: (holdEnds) => [...partlyHeld(holdEnds), REVOKED] },
};

/** What happens to a lot: the command, at what time, and how much of the lot it brings back, in credits. */
type Happening = {
  readonly command: AccountCommand;
  readonly at?: (now: number) => number;
  readonly back: number;
  readonly settles?: true;
};

const HOLD = 4;
const HAPPENINGS: { readonly [name: string]: Happening } = {
  commit: { command: commit(HOLD, credits(TAKEN)), back: HELD - TAKEN, settles: true },
  release: { command: { type: 'ReleaseReservation', reservation: HOLD, personal: null }, back: HELD, settles: true },
  'hold runs out': { command: { type: 'ExpireDue' }, at: holdEndsIn, back: HELD, settles: true },
  'end passes': { command: { type: 'ExpireDue' }, at: (now) => Math.max(now, LOT_ENDS), back: 0 },
  refund: { command: refund(3, credits(REFUNDED)), back: REFUNDED },
  freeze: { command: freeze(1), back: 0 },
  unfreeze: { command: unfreeze(1), back: 0 },
  revoke: { command: revoke(1), back: 0 },
};

/** A hold that ends before the lot does, or where that is over, some time later. */
function holdEndsIn(now: number): number {
  return now < LOT_ENDS ? minute(30) : minute(90);
}

/** What a word of the table makes of a lot that so much comes back to at a time. False where it can't be said of it. */
type Word = (picture: Drawn, back: number, now: number) => boolean;
type Drawn = Picture & { lot: NonNullable<Picture['lot']> };

const WORDS: { readonly [cell: string]: Word } = {
  nothing: () => true,
  'no hold': () => true,
  'back, to spend': (picture, back) => back > 0 && change(picture, { free: picture.lot.free + back, frozen: false }),
  'back, frozen': (picture, back) => back > 0 && change(picture, { free: picture.lot.free + back, frozen: true }),
  lapses: (_, back) => back > 0,
  'free lapses': (picture) => picture.lot.free > 0 && change(picture, { free: 0 }),
  'fresh lot, 30 days'(picture, back, now) {
    picture.fresh = { free: back, ends: now + THIRTY_DAYS };
    return back > 0;
  },
  'debt, then back'(picture, back) {
    const paid = payDebt(picture, back);
    return paid > 0 && change(picture, { free: picture.lot.free + back - paid });
  },
  'debt, then fresh lot, 30 days'(picture, back, now) {
    const paid = payDebt(picture, back);
    picture.fresh = { free: back - paid, ends: now + THIRTY_DAYS };
    return paid > 0;
  },
  'free is frozen': (picture) => picture.lot.free > 0 && change(picture, { frozen: true }),
  'later inflow is frozen': (picture) => picture.lot.free === 0 && change(picture, { frozen: true }),
  'to spend': (picture) => picture.lot.frozen && change(picture, { frozen: false }),
  'to spend, 30 days': (picture, _, now) => picture.lot.frozen && change(picture, { frozen: false, ends: now + THIRTY_DAYS }),
  'free, then available, then debt': (picture) => !picture.lot.frozen && takeBack(picture) > 0,
  'available, then debt': (picture) => takeBack(picture) === 0,
  'frozen, then available, then debt; thawed': (picture) =>
    picture.lot.frozen && takeBack(picture) > 0 && change(picture, { frozen: false }),
  'frozen, then available, then debt; thawed, 30 days': (picture, _, now) =>
    picture.lot.frozen && takeBack(picture) > 0 && change(picture, { frozen: false, ends: now + THIRTY_DAYS }),
};

function change(picture: Drawn, lot: Partial<Drawn['lot']>): true {
  Object.assign(picture.lot, lot);
  return true;
}

/** What of it went into the debt. */
function payDebt(picture: Drawn, back: number): number {
  const part = Math.min(picture.debt, back);
  picture.debt -= part;
  return part;
}

/** What the lot itself gave. */
function takeBack(picture: Drawn): number {
  const own = picture.lot.free;
  const other = Math.min(100 - own, picture.others);
  picture.others -= other;
  picture.debt += 100 - own - other;
  picture.lot.free = 0;
  return own;
}

/** Micro-credits as credits, which are whole here. */
function whole(amount: Micro): number {
  return creditsFromMicro(amount);
}

function pictureOf(account: Account): Picture {
  if (account.status === 'unopened') throw new Error('an open account expected');
  const picture: Picture = { lot: null, others: 0, fresh: null, debt: whole(account.balances.debt) };
  for (const { revision, free, held, frozen: isFrozen, expiresAt } of account.lots) {
    const ends = expiresAt ?? Number.POSITIVE_INFINITY;
    if (revision === 1) picture.lot = { free: whole(free), held: whole(held), frozen: isFrozen, ends };
    else if (revision === 2) picture.others = whole(free);
    else picture.fresh = { free: whole(free), ends };
  }
  return picture;
}

/** Without a lot that nothing is left of. */
function tidy({ lot, ...rest }: Picture): Picture {
  return { ...rest, lot: lot !== null && (lot.free > 0 || lot.held > 0 || lot.frozen) ? lot : null };
}

function readTable() {
  const text = readFileSync(join(import.meta.dirname, '..', '..', 'docs', 'lots.md'), 'utf8');
  const [head = [], , ...rows] = text
    .split('\n')
    .filter((line) => line.startsWith('|'))
    .map((line) =>
      line
        .split('|')
        .slice(1, -1)
        .map((cell) => cell.trim()),
    );
  return { columns: head.slice(1), rows };
}

const { columns, rows } = readTable();
const CELLS = rows.flatMap(([state = '', ...cells]) => cells.map((cell, index) => [state, columns[index] ?? '', cell] as const));

describe('the table of docs/lots.md', () => {
  test('has a cell for every state and everything that can happen, and uses every word', () => {
    expect(columns).toEqual(Object.keys(HAPPENINGS));
    expect(rows.map(([state]) => state)).toEqual(Object.keys(STATES));
    expect(CELLS).toHaveLength(columns.length * rows.length);
    expect([...new Set(CELLS.map(([, , cell]) => cell))].sort()).toEqual(Object.keys(WORDS).sort());
  });

  test.each(CELLS)('%s, %s: %s', (stateName, column, cell) => {
    const [state, happening] = [STATES[stateName], HAPPENINGS[column]];
    if (state === undefined || happening === undefined) throw new Error('no such state, or nothing that can happen');
    // Of all words this one is true, and no other.
    expect(Object.keys(WORDS).filter((word) => isTrue(word, state, happening))).toEqual([cell]);
  });
});

/** Whether a word tells what happens in a state: to the credit, and to the millisecond. */
function isTrue(word: string, state: State, { command, at, back, settles }: Happening): boolean {
  const now = at?.(state.now) ?? state.now;
  const asking = given(...state.history(command.type === 'ExpireDue' && settles ? now : minute(90))).at(now);
  const { lot, ...rest } = pictureOf(asking.account());
  const drawn: Drawn = { ...rest, lot: lot ?? { free: 0, held: 0, frozen: false, ends: LOT_ENDS } };
  const hasHold = drawn.lot.held > 0;
  const { written, decision } = asking.when(command);
  const picture = pictureOf(asking.account());

  if (settles && !hasHold) {
    expect(written).toEqual([]);
    if (command.type !== 'ExpireDue') expect(decision).toEqual(reject({ code: 'reservation_not_found' }));
    return word === 'no hold';
  }
  expect(decision.kind).not.toBe('reject');
  if ((word === 'nothing' || word === 'no hold') !== (written.length === 0) || word === 'no hold') return false;
  if (settles) drawn.lot.held = 0;
  return WORDS[word]?.(drawn, back, now) === true && isDeepStrictEqual(picture, tidy(drawn));
}
