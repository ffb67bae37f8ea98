import type { AccountEvent } from '../../src/events/account-events.ts';
import { isAccountEvent, readEvent, type Recorded, type StoredEvent } from '../../src/events/event-types.ts';

/** A stored event of an account, read back. Throws for an event of another kind of stream. */
export function readAccountEvent(stored: StoredEvent): Recorded<AccountEvent> {
  const event = readEvent(stored);
  if (!isAccountEvent(event)) throw new Error(`${event.type} is no event of an account`);
  return event;
}
