import { expect } from 'vitest';
import type { AccountEvent, LotAmounts } from '../../src/events/account-events.ts';
import type { Recorded } from '../../src/events/event-types.ts';

type Left = { readonly revision: number; readonly free: number; readonly held: number };

/**
 * Follows every credit of a stream from its grant: what was consumed and not refunded, ran out, was debited, revoked,
 * paid as debt, and is left of a grant is what was granted; every hold was settled once; no consumption gave back more
 * than it took, and no grant lost more than it gave; what is owed was revoked and not paid yet.
 */
export function expectSpentOnce(events: readonly Recorded<AccountEvent>[], left: readonly Left[]): void {
  const books = new Books();
  for (const event of events) books.take(event);
  expect(books.remaining()).toEqual(left.map((lot): [number, number] => [lot.revision, lot.free + lot.held]).sort(byRevision));
  expect(new Set(books.settled).size).toBe(books.settled.length);
  expect(books.debt).toBe(events.at(-1)?.data.after.debt ?? 0);
  expect(books.spent).toBe(events.at(-1)?.data.after.spent ?? 0);
}

class Books {
  debt = 0;
  spent = 0;
  readonly settled: number[] = [];
  /** By the event that made a lot: what is left of it, what can be revoked of it. */
  readonly #open = new Map<number, number>();
  readonly #revocable = new Map<number, number>();
  /** By consumption: what of it can be refunded. */
  readonly #refundable = new Map<number, number>();
  readonly #frozen = new Set<number>();

  take(event: Recorded<AccountEvent>): void {
    const { revision, data } = event;
    this.#makeLots(event);
    if ('debtPaid' in data) this.#leave(data.debtPaid ?? []);
    if ('debtPaid' in data) this.debt -= sum(data.debtPaid ?? []);
    switch (event.type) {
      case 'CreditsConsumed':
        this.#leave([...event.data.fromHold, ...event.data.fromAvailable, ...event.data.lapsed]);
        if (event.data.reservation !== null) this.settled.push(event.data.reservation);
        this.#refundable.set(revision, event.data.amount);
        this.spent += event.data.amount;
        break;
      case 'ReservationReleased':
        this.#leave(event.data.lapsed);
        this.settled.push(event.data.reservation);
        break;
      case 'Expired':
      case 'CreditsDebited':
        this.#leave(event.data.lots);
        break;
      case 'CreditsRefunded':
        this.#lower(this.#refundable, event.data.consumption, event.data.amount);
        this.spent -= event.data.amount;
        break;
      case 'GrantFrozen':
        this.#frozen.add(event.data.grant);
        break;
      case 'GrantUnfrozen':
        this.#frozen.delete(event.data.grant);
        break;
      case 'GrantRevoked':
        this.#revoke(event.data);
        break;
      case 'AccountOpened':
      case 'CreditsGranted':
      case 'CreditsReserved':
        break;
      default:
        event satisfies never;
    }
  }

  #makeLots(event: Recorded<AccountEvent>): void {
    if (event.type === 'CreditsGranted') this.#make(event.revision, event.data.amount);
    if (event.type !== 'CreditsRefunded') return;
    const { restored, toFrozen = [], fresh } = event.data;
    for (const [revision, amount] of [...restored, ...toFrozen]) this.#lower(this.#open, revision, -amount);
    for (const [revision] of restored) expect(this.#frozen.has(revision)).toBe(false);
    for (const [revision] of toFrozen) expect(this.#frozen.has(revision)).toBe(true);
    if (fresh !== undefined) this.#make(event.revision, fresh.amount);
  }

  #make(revision: number, amount: number): void {
    this.#open.set(revision, amount);
    this.#revocable.set(revision, amount);
  }

  #revoke({ grant, amount, fromFrozen, fromAvailable, debt, revoked, granted }: RevokedData): void {
    this.#leave(fromAvailable);
    this.#lower(this.#open, grant, fromFrozen);
    this.#lower(this.#revocable, grant, amount);
    expect(this.#revocable.get(grant)).toBe(granted - revoked);
    expect(fromFrozen + sum(fromAvailable) + debt).toBe(amount);
    this.debt += debt;
    if (revoked === granted) this.#frozen.delete(grant);
  }

  #leave(lots: LotAmounts): void {
    for (const [revision, amount] of lots) this.#lower(this.#open, revision, amount);
  }

  #lower(amounts: Map<number, number>, of: number, by: number): void {
    const after = (amounts.get(of) ?? Number.NaN) - by;
    expect(after).toBeGreaterThanOrEqual(0);
    amounts.set(of, after);
  }

  /** What is left of each lot. A frozen one stands although it is empty. */
  remaining(): [number, number][] {
    return [...this.#open].filter(([revision, amount]) => amount !== 0 || this.#frozen.has(revision)).sort(byRevision);
  }
}

type RevokedData = Extract<Recorded<AccountEvent>, { type: 'GrantRevoked' }>['data'];

function sum(lots: LotAmounts): number {
  return lots.reduce((total, [, amount]) => total + amount, 0);
}

function byRevision([a]: readonly [number, number], [b]: readonly [number, number]): number {
  return a - b;
}
