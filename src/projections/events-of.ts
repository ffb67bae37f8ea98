import { type AccountEvent, userOfStream } from '../events/account-events.ts';
import { isAccountEvent, type Recorded } from '../events/event-types.ts';

/** An event of an account, with whose it is. */
export type UserEvent = { readonly userId: string; readonly event: Recorded<AccountEvent> };

/** Events that are applied together, and those of accounts among them, in the same order: found once for all read models. */
export type Events = { readonly all: readonly Recorded[]; readonly ofUsers: readonly UserEvent[] };

/** Finds those of accounts among events of any streams, which stay as they are. */
export function eventsOf(all: readonly Recorded[]): Events {
  const ofUsers: UserEvent[] = [];
  for (const event of all) {
    const userId = userOfStream(event.stream);
    if (userId !== undefined && isAccountEvent(event)) ofUsers.push({ userId, event });
  }
  return { all, ofUsers };
}
