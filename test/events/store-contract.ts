import { afterAll, beforeAll, describe } from 'vitest';
import type { Store } from '../../src/events/store.ts';
import { appendingContract } from './contract/appending.ts';
import { claimsContract } from './contract/claims.ts';
import { conflictContract } from './contract/conflicts.ts';
import { linksContract } from './contract/links.ts';
import { logContract } from './contract/log.ts';
import { streamContract } from './contract/streams.ts';
import { subscriptionContract } from './contract/subscriptions.ts';

/** A store under test, and others on the same log, each as a process of its own would have it. */
export type StoreUnderTest = {
  readonly store: Store;
  /** One more, closed with the first. */
  readonly another: () => Store;
  readonly close: () => Promise<void>;
};

/** What a group of the contract's tests is given: the store there is once the tests run. */
export type Subject = () => StoreUnderTest;

/**
 * What every store must hold (src/events/store.ts), whatever keeps its events. The log is shared by all tests of a
 * run and may hold more than theirs: each names its streams anew and reads from where the log ended before.
 */
export function storeContract(name: string, makeStore: () => Promise<StoreUnderTest>): void {
  describe(`the store contract on ${name}`, () => {
    let subject: StoreUnderTest | undefined;
    beforeAll(async () => {
      subject = await makeStore();
    });
    afterAll(async () => {
      await subject?.close();
    });
    const current: Subject = () => {
      if (subject === undefined) throw new Error('the store is made before the first test');
      return subject;
    };
    appendingContract(current);
    conflictContract(current);
    claimsContract(current);
    linksContract(current);
    streamContract(current);
    logContract(current);
    subscriptionContract(current);
  });
}
