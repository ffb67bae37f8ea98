import { type AccountEvent, userOfStream } from '../events/account-events.ts';
import { type Micro, micro } from '../events/amounts.ts';
import type { Recorded } from '../events/event-types.ts';
import { legsOf } from '../events/legs.ts';

/** An event of an account, with whose it is. */
export type UserEvent = { readonly userId: string; readonly event: Recorded<AccountEvent> };

/** The events of accounts among some events, in the same order. */
export function userEvents(events: readonly Recorded[]): readonly UserEvent[] {
  return events.flatMap((event) => {
    const userId = userOfStream(event.stream);
    return userId === undefined ? [] : [{ userId, event }];
  });
}

/** By how much an event changed what can be spent, in micro-credits. */
export function availableChange(event: Recorded): Micro {
  const account = `available:${event.stream}`;
  return micro(legsOf(event).reduce((sum, leg) => (leg.account === account ? sum + leg.amount : sum), 0));
}
