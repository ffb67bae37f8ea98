import { createTestDatabase, testStore } from '../support/database.ts';
import { storeContract } from './store-contract.ts';

storeContract('Postgres', async () => {
  const database = await createTestDatabase();
  const first = testStore(database.url, 'first');
  const others: ReturnType<typeof testStore>[] = [];
  return {
    store: first.store,
    another() {
      const other = testStore(database.url, `another ${others.length}`);
      others.push(other);
      return other.store;
    },
    async close() {
      await Promise.all([first, ...others].map((one) => one.close()));
      await database.close();
    },
  };
});
