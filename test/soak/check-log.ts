import { accountDecider } from '../../src/commands/account-decider.ts';
import type { Account } from '../../src/commands/account.ts';
import type { AccountEvent } from '../../src/events/account-events.ts';
import { keyClaim } from '../../src/events/claims.ts';
import { isAccountEvent, type LedgerEvent, readEvent, type Recorded, type StoredEvent } from '../../src/events/event-types.ts';
import { sumOfLots } from '../../src/events/lot-changes.ts';
import { appOf } from '../../src/events/metadata.ts';
import type { SoakAccount } from './accounts.ts';
import type { Sent } from './clients.ts';
import type { Kind } from './draft.ts';

/*
 * The log held against what was answered. What is acknowledged stands in it once, under its key, where the answer says;
 * what was refused left nothing; nobody else wrote; and the accounts hold what the acknowledged answers add up to.
 */

/** Which events may answer a command of each kind; an atomic batch writes what its commands do. */
const ANSWERS: Readonly<Record<Kind, readonly LedgerEvent['type'][] | 'any'>> = {
  init: ['AccountOpened', 'CreditsGranted'],
  grant: ['CreditsGranted'],
  use: ['CreditsConsumed'],
  reserve: ['CreditsReserved'],
  commit: ['CreditsConsumed'],
  release: ['ReservationReleased'],
  refund: ['CreditsRefunded'],
  atomic: 'any',
  catalogue: ['OperationPriced', 'AppModeSet', 'PackageDefined'],
};

/** The event that holds a key's claim. */
type Claimed = { readonly stream: string; readonly revision: number; readonly type: string; times: number };

type Folded = { account: Account; revision: number; lapsed: number };

/** How many findings are listed at the most. */
const TOLD = 50;

/** Reads a log event by event, in the order of each stream, and then says what in it is not as it was answered. */
export class LogCheck {
  readonly #sent: ReadonlyMap<string, Sent>;
  readonly #claims = new Map<string, Claimed>();
  readonly #commands = new Map<string, string>();
  readonly #accounts = new Map<string, Folded>();
  readonly #findings: string[] = [];
  events = 0;

  constructor(sent: readonly Sent[]) {
    this.#sent = new Map(sent.map((one) => [one.key, one]));
    if (this.#sent.size !== sent.length) this.#find('the soak itself used a key twice');
  }

  take(stored: StoredEvent): void {
    this.events += 1;
    const event = readEvent(stored);
    this.#takeKey(event);
    if (isAccountEvent(event)) this.#fold(event);
  }

  /** The keys under which something was written. */
  get keys(): ReadonlySet<string> {
    return new Set(this.#claims.keys());
  }

  /** What the log says that each account has, after its last event. */
  balances(): ReadonlyMap<string, Extract<Account, { status: 'open' }>['balances'] & { readonly revision: number }> {
    return new Map(
      [...this.#accounts].flatMap(([stream, { account, revision }]) =>
        account.status === 'open' ? [[stream, { ...account.balances, revision }]] : [],
      ),
    );
  }

  /** What is wrong, a line each. */
  findings(accounts: readonly SoakAccount[]): readonly string[] {
    for (const sent of this.#sent.values()) this.#checkSent(sent);
    for (const account of accounts) this.#checkAccount(account);
    const known = new Set(accounts.map(({ stream }) => stream));
    for (const stream of this.#accounts.keys()) if (!known.has(stream)) this.#find(`${stream} is nobody's account`);
    return this.#findings;
  }

  #takeKey({ stream, revision, type, metadata }: Recorded): void {
    const { idempotencyKey: key, claims, commandId, actor } = metadata;
    const where = `${stream}@${revision} (${type})`;
    if (key === null) {
      if (actor.kind !== 'system') this.#find(`${where} has no key and is not the ledger's own`);
      return;
    }
    const sent = this.#sent.get(key);
    if (sent === undefined) return this.#find(`${where} stands under the key ${key}, which nobody sent`);
    if (sent.stream !== stream) this.#find(`${where} stands under the key ${key}, which was sent to ${sent.stream}`);
    if (sent.app !== appOf(actor)) this.#find(`${where} is ${appOf(actor)}'s, and ${key} was sent by ${sent.app}`);
    const command = this.#commands.get(key) ?? commandId;
    this.#commands.set(key, command);
    if (command !== commandId) this.#find(`${where} was written by another run of ${key}`);
    // A command's events share its key; the last of them claims it.
    if (!claims.includes(keyClaim(`app:${sent.app}`, key))) return;
    const before = this.#claims.get(key);
    if (before === undefined) this.#claims.set(key, { stream, revision, type, times: 1 });
    else before.times += 1;
  }

  #checkSent({ key, kind, status, token, written }: Sent): void {
    const claimed = this.#claims.get(key);
    if (claimed !== undefined && claimed.times !== 1) this.#find(`${key} stands in the log ${claimed.times} times`);
    if (written === 'nothing') {
      if (this.#commands.has(key)) this.#find(`${key} was refused with ${status}, and stands in the log`);
      return;
    }
    if (written === 'other') {
      if (claimed !== undefined) this.#find(`${key} was answered with what another did, and stands in the log`);
      return;
    }
    if (claimed === undefined) {
      if (written === 'own') this.#find(`${key} (${kind}) was acknowledged, and does not stand in the log`);
      return;
    }
    const { stream, revision, type } = claimed;
    if (token !== tokenOf(stream, revision))
      this.#find(`${key} stands at ${stream}@${revision}, and was answered with ${textOf(token)}`);
    const types: readonly string[] | 'any' = ANSWERS[kind];
    if (types !== 'any' && !types.includes(type)) this.#find(`${key} (${kind}) stands in the log as ${type}`);
  }

  #fold(event: Recorded<AccountEvent>): void {
    const folded = this.#accounts.get(event.stream) ?? { account: accountDecider.initialState, revision: -1, lapsed: 0 };
    if (event.revision !== folded.revision + 1) this.#find(`${event.stream}@${event.revision} follows on ${folded.revision}`);
    const account = accountDecider.evolve(folded.account, event);
    const lapsed = folded.lapsed + lapsedIn(event);
    this.#accounts.set(event.stream, { account, revision: event.revision, lapsed });
    if (account.status !== 'open') return;
    const { lots, balances } = account;
    const kept = { free: 0, held: 0 };
    for (const lot of lots) {
      kept.free += lot.free;
      kept.held += lot.held;
    }
    if (kept.free !== balances.available + balances.frozen || kept.held !== balances.reserved)
      this.#find(`${event.stream}@${event.revision} says other balances than its lots add up to`);
  }

  /** What an account has must be what the acknowledged answers leave, less what ran out, of which nobody is told. */
  #checkAccount({ stream, sum, exact }: SoakAccount): void {
    const folded = this.#accounts.get(stream);
    const open = folded?.account.status === 'open' ? folded.account.balances : undefined;
    const { available = 0, frozen = 0, reserved = 0, debt = 0 } = open ?? {};
    const left = sum - (folded?.lapsed ?? 0);
    const has = available + frozen + reserved - debt;
    if (has !== left) this.#find(`${stream} has ${has} micro-credits, and the answers leave ${left}`);
    if (exact !== undefined && (exact.available !== available || exact.reserved !== reserved))
      this.#find(
        `${stream} has ${available} and holds ${reserved}, and its client was told ${exact.available} and ${exact.reserved}`,
      );
  }

  #find(what: string): void {
    if (this.#findings.length < TOLD) this.#findings.push(what);
  }
}

/** What of an account ran out with an event: its own, or found so when a hold was settled. In micro-credits. */
function lapsedIn({ type, data }: AccountEvent): number {
  if (type === 'Expired') return sumOfLots(data.lots);
  return type === 'CreditsConsumed' || type === 'ReservationReleased' ? sumOfLots(data.lapsed) : 0;
}

/** The token of a revision, as the API makes it. */
function tokenOf(stream: string, revision: number): string {
  return Buffer.from(JSON.stringify([[stream, revision]])).toString('base64url');
}

function textOf(token: string): string {
  return Buffer.from(token, 'base64url').toString('utf8');
}
