import type { Micro } from '../events/amounts.ts';

/**
 * Why a command was refused: a rule of the ledger said no, nothing was written, and the same idempotency key may
 * succeed later. Returned, never thrown; api/errors.ts maps each to HTTP.
 */
export type Rejection =
  /** The account can't cover it. Amounts in micro-credits. */
  | {
      readonly code: 'insufficient_credits';
      readonly required: Micro;
      readonly available: Micro;
      readonly operation: string | null;
    }
  | { readonly code: 'reservation_not_found' }
  /** The event that a command names gave nothing. */
  | { readonly code: 'grant_not_found' }
  /** The catalogue has no price for it. */
  | { readonly code: 'operation_not_found'; readonly app: string; readonly operation: string }
  | { readonly code: 'package_not_found' }
  /** A hold is settled exactly once. */
  | { readonly code: 'reservation_already_resolved'; readonly resolution: Resolution }
  /** The hold ran out, and the caller asked to be refused then. */
  | { readonly code: 'reservation_expired' }
  /** An app settles its own holds only. */
  | { readonly code: 'reservation_of_another_app' }
  /** What was named is no consumption of this account. */
  | { readonly code: 'transaction_not_found' }
  /** More would come back than was taken. Amounts in micro-credits; `left` is what can still be refunded. */
  | { readonly code: 'refund_exceeds_consumption'; readonly requested: Micro; readonly left: Micro }
  /** A bound of the ledger; `maximum` in the unit that `limit` names. */
  | { readonly code: 'limit_exceeded'; readonly limit: string; readonly maximum: number }
  /** One command of an atomic batch was refused, so none was done: which one, counted from 0, and why. */
  | { readonly code: 'batch_refused'; readonly index: number; readonly rejection: Rejection }
  /** The key was used for another request. */
  | { readonly code: 'idempotency_conflict' }
  /** A value that only the state or the clock shows to be wrong. */
  | { readonly code: 'invalid'; readonly path: string; readonly message: string };

/** How a hold was settled, as the caller is told. */
export type Resolution = {
  readonly status: 'consumed' | 'released';
  readonly transaction: { readonly stream: string; readonly revision: number };
  /** What was taken, in micro-credits. */
  readonly amount: Micro;
};
