import { type AccountEvent, userOfStream } from '../events/account-events.ts';
import { isAccountEvent, type Recorded } from '../events/event-types.ts';

/** An event of an account, with whose it is. */
export type UserEvent = { readonly userId: string; readonly event: Recorded<AccountEvent> };

/** The events of accounts among some events, in the same order. */
export function userEvents(events: readonly Recorded[]): readonly UserEvent[] {
  return events.flatMap((event) => {
    const userId = userOfStream(event.stream);
    return userId === undefined || !isAccountEvent(event) ? [] : [{ userId, event }];
  });
}
