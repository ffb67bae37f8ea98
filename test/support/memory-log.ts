import { accountDecider, type AccountCommand } from '../../src/commands/account-decider.ts';
import type { Account } from '../../src/commands/account.ts';
import { decideBatch, type DecidedBatch } from '../../src/commands/write-path/decide-batch.ts';
import type { Envelope, Outcome } from '../../src/commands/write-path/envelope.ts';
import { KnownFacts } from '../../src/commands/write-path/known-facts.ts';
import { emptyStream, type StreamState } from '../../src/commands/write-path/stream-state.ts';
import type { AccountEvent } from '../../src/events/account-events.ts';
import type { StoredEvent } from '../../src/events/event-types.ts';
import type { NewEvent, Standing } from '../../src/events/store.ts';
import { plainHashes } from './random-commands.ts';

/** One stream in memory: what the write path and a store do together, one batch after the other. */
export class MemoryLog {
  readonly events: NewEvent[] = [];
  state: StreamState<Account> = emptyStream(accountDecider.initialState);

  /** Runs commands as the write path would, in as many batches as it takes. */
  run(envelopes: readonly Envelope<AccountCommand>[], now: number): Outcome<Account, AccountEvent>[] {
    const outcomes: Outcome<Account, AccountEvent>[] = [];
    while (outcomes.length < envelopes.length) {
      const { events, end, outcomes: decided } = this.#decide(envelopes.slice(outcomes.length), now);
      if (decided.length === 0 && events.length === 0) throw new Error('a batch that gets nowhere');
      this.events.push(...events);
      this.state = end;
      outcomes.push(...decided);
    }
    return outcomes;
  }

  #decide(envelopes: readonly Envelope<AccountCommand>[], now: number): DecidedBatch<Account, AccountEvent> {
    const known = new KnownFacts<AccountEvent>();
    for (let round = 0; round < 3; round += 1) {
      const missing = envelopes.flatMap(({ command }) => accountDecider.missingFacts(command, this.state.state, known));
      known.addStandings(missing, this.#lastAbout(missing));
    }
    for (;;) {
      const decided = decideBatch(accountDecider, this.state, known, envelopes, { hashes: plainHashes, now });
      const claims = [...decided.events.flatMap((event) => event.claims), ...decided.unclaimed];
      const claimed = this.#claimed(claims);
      if (claimed.size === 0) return decided;
      // What a store says of claims that stand already: the same is decided again.
      known.addClaims(claimed);
    }
  }

  #claimed(claims: readonly string[]): ReadonlyMap<string, StoredEvent> {
    const found = new Map<string, StoredEvent>();
    for (const event of this.events) for (const claim of event.claims) if (claims.includes(claim)) found.set(claim, event);
    return found;
  }

  #lastAbout(revisions: readonly number[]): ReadonlyMap<number, Standing> {
    const found = new Map<number, Standing>();
    for (const revision of revisions) {
      const event = this.events[revision];
      if (event !== undefined)
        found.set(revision, { event, last: this.events.findLast(({ about }) => about.includes(revision)) });
    }
    return found;
  }
}
