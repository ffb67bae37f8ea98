import { type Body, must, mustBe, type SoakAccount, textIn } from './accounts.ts';

/*
 * Commands on an account: what is asked, what an answer to it changes in what the soak knows, and which answers the
 * contract rules out. What may be settled or given back is taken out of what is remembered while a command is about it,
 * and put back where it was refused.
 */

export const SERVICES = '/api/v1/internal/credits';

/** The app of most commands, one that is observed now and then, and one that made no hold. */
export const APP = 'soak';
export const WATCHED = 'watched';
export const STRANGER = 'stranger';

/** What a command is, by what the log has to say of it. */
export type Kind = 'init' | 'grant' | 'use' | 'reserve' | 'commit' | 'release' | 'refund' | 'atomic' | 'catalogue';

/** What of an answer stands in the log: an event under the command's own key, another's, or one of the two. */
export type Written = 'own' | 'other' | 'either';

export type Draft = {
  readonly kind: Kind;
  /** The account's, or the catalogue's. */
  readonly stream: string;
  readonly app: string;
  readonly method: 'POST' | 'PUT';
  readonly path: string;
  readonly body: Body;
  /** What it is called in a batch; undefined where it can't be in one. */
  readonly type: string | undefined;
  /** Takes in that it was done, with the token of what was written. Throws a ContractError. */
  accepted(answer: Body, token: string): Written;
  /** Takes in that it was refused; `alone`: on what the account has, and not on what a batch has just done. Throws a ContractError. */
  refused(status: number, answer: Body, alone: boolean): void;
  /** Takes in that it was not done for another's sake. */
  undone(): void;
};

const NOTHING = (): void => undefined;

type Making = Pick<Draft, 'kind' | 'body' | 'accepted'> & {
  readonly type: string | undefined;
  readonly path: string;
  readonly app?: string;
  readonly refusals: (alone: boolean, answer: Body) => readonly string[];
  readonly undone?: () => void;
};

/** Makes a draft on an account. */
export function draft(
  account: SoakAccount,
  { kind, body, accepted, type, path, app = APP, refusals, undone = NOTHING }: Making,
): Draft {
  return {
    kind,
    stream: account.stream,
    app,
    method: 'POST',
    path: `${SERVICES}/${path}`,
    body,
    type,
    accepted(answer, token) {
      const written = accepted(answer, token);
      account.token = token;
      return written;
    },
    refused(status, answer, alone) {
      undone();
      const code = `${status} ${textIn(answer, 'error')}`;
      must(refusals(alone, answer).includes(code), `a ${kind} can't be refused with ${code}`);
    },
    undone,
  };
}

/** Moves credits of an account that acknowledged answers tell of; `after` is what one of them says is left to spend. */
export function move(account: SoakAccount, change: { available: number; reserved: number }, after: number): void {
  account.sum += change.available + change.reserved;
  if (account.exact === undefined) return;
  account.exact.available += change.available;
  account.exact.reserved += change.reserved;
  mustBe(after, account.exact.available, 'what is left to spend');
}
