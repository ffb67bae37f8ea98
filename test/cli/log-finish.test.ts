import { describe, expect, it, onTestFinished } from 'vitest';
import { routerStart } from '../../src/cli/log-copy/router-start.ts';
import { compareOnly, copyOn, type CopyParts, finish, type FinishParts } from '../../src/cli/log-copy/run-copy.ts';
import { writersOn } from '../../src/cli/log-copy/writers.ts';
import { connectOwner } from '../../src/cli/read-model-rebuild/owner.ts';
import { createNext } from '../../src/cli/read-model-rebuild/structure.ts';
import type { Store } from '../../src/events/store.ts';
import { batchOf, lastOf, newStream, written } from '../events/contract/batches.ts';
import { giveCredits, readOwn, tokenOf } from '../support/api-client.ts';
import type { TestDatabase } from '../support/database.ts';
import { openLedger } from '../support/ledger.ts';
import { runCommandLine } from '../support/run-command-line.ts';
import { startService } from '../support/service.ts';
import { emptyDatabase, expectSame, type SourceLog, useSourceLog } from './copying.ts';

/* The last step of a copy, and what it refuses while somebody writes. */

const sourceLog = useSourceLog(10);

const QUIETLY = { progress: () => ({ at: () => undefined, stop: () => undefined }) };

/** The parts of a copy whose read models stay beside the source, as they do where the log moves to KurrentDB. */
function partsOf(source: Store, target: Store, database: TestDatabase): { readonly parts: FinishParts; readonly said: string[] } {
  const said: string[] = [];
  const start = routerStart(database.url);
  onTestFinished(start.close);
  const parts = {
    ...QUIETLY,
    source,
    target,
    say: (text: string) => void said.push(text),
    writers: () => writersOn(database.url),
    routerStart: start,
    quiet: 0,
  };
  return { parts, said };
}

async function appliedPosition({ superuser }: TestDatabase): Promise<string | undefined> {
  return (await superuser.query<{ position: string }>('select position from read_model.applied')).rows[0]?.position;
}

/** Lets read models come level with the log. */
async function project({ database }: SourceLog): Promise<void> {
  const service = await startService({ databaseUrl: database.url, workers: true });
  try {
    const given = await giveCredits(service.app(), 'late', 5);
    await readOwn(service.app(), '/api/v1/internal/credits/balance/late', { 'x-min-revision': tokenOf(given) });
    await expect.poll(() => appliedPosition(database), { timeout: 20_000 }).toBe(await service.context.store.lastPosition());
  } finally {
    await service.close();
  }
}

describe('finish', () => {
  it('moves the router behind the last event of the target where all is applied', async () => {
    const [source, target] = [await sourceLog(), await emptyDatabase()];
    await project(source);
    // The target's positions are its own.
    await written(source.store, batchOf(newStream('account'), [{}]));
    await source.database.superuser.query(
      'insert into read_model.checkpoints select name, revision from ledger.streams on conflict do nothing',
    );
    const { parts, said } = partsOf(source.store, farPositions(target.store), source.database);
    expect(await finish(parts)).toBe(true);
    await expectSame(source.database, target.database);
    const end = `far/${await target.store.lastPosition()}`;
    expect(said.at(-1)).toBe(
      `The copy is complete. The router starts at position ${end} of the target: point the service there, and start it.`,
    );
    expect(await appliedPosition(source.database)).toBe(end);
  });

  it('moves the router to the beginning where something is not applied yet', async () => {
    const [source, target] = [await sourceLog(), await emptyDatabase()];
    await project(source);
    await written(source.store, batchOf(newStream('account'), [{}]));
    const { parts } = partsOf(source.store, target.store, source.database);
    expect(await finish(parts)).toBe(true);
    expect(await appliedPosition(source.database)).toBe('0');
  });

  it('makes a generation of read models that is being built begin anew: its position means nothing there', async () => {
    const [source, target] = [await sourceLog(), await emptyDatabase()];
    const owner = await connectOwner(source.database.url);
    try {
      await createNext(owner);
    } finally {
      await owner.end();
    }
    await source.database.superuser.query(`update read_model_next.applied set position = '7'`);
    const { parts } = partsOf(source.store, target.store, source.database);
    await expect.poll(() => finish(parts), { timeout: 5_000 }).toBe(true);
    const { rows } = await source.database.superuser.query('select position from read_model_next.applied');
    expect(rows).toEqual([{ position: '0' }]);
  });

  it('is not done while an API or worker is connected, and says which', async () => {
    const [source, target] = [await sourceLog(), await emptyDatabase()];
    const ledger = await openLedger(source.database.url);
    await ledger.account('ada').expire();
    const { parts, said } = partsOf(source.store, target.store, source.database);
    expect(await finish(parts)).toBe(false);
    expect(said).toEqual([
      expect.stringMatching(/^APIs or workers are connected.*\nmana-credits log from .* \(server process \d+\)/),
    ]);
    expect(await target.store.lastPosition()).toBe('0');
    await ledger.close();
    await expect.poll(() => writersOn(source.database.url), { timeout: 5_000 }).toEqual([]);
    expect(await finish(parts)).toBe(true);
  });

  it('is not done where somebody who is called otherwise goes on writing', async () => {
    const [source, target] = [await sourceLog(), await emptyDatabase()];
    await project(source);
    const before = await appliedPosition(source.database);
    const { parts, said } = partsOf(writtenWhileCompared(source.store), target.store, source.database);
    expect(await finish(parts)).toBe(false);
    expect(said.at(-1)).toMatch(/^The source went on while it was compared: somebody writes it\./);
    expect(said.join('\n')).not.toContain('complete');
    expect(await appliedPosition(source.database)).toBe(before);
  });

  it('is not done where the target differs', async () => {
    const [source, target] = [await sourceLog(), await emptyDatabase()];
    const { parts, said } = partsOf(source.store, target.store, source.database);
    await copyOn(parts);
    const ada = await target.store.readStream('account-ada', { limit: 100 });
    await written(target.store, batchOf('account-ada', [{}], lastOf(ada)));
    const before = await appliedPosition(source.database);
    expect(await finish(parts)).toBe(false);
    expect(said.at(-1)).toBe('The two logs differ.');
    expect(await appliedPosition(source.database)).toBe(before);
  });
});

describe('a copy while the service goes on', () => {
  it('says how far it is behind, and does not call it complete', async () => {
    const [source, target] = [await sourceLog(), await emptyDatabase()];
    const { parts, said } = partsOf(writtenWhileCompared(source.store), target.store, source.database);
    expect(await copyOn(parts)).toBe(true);
    expect(said.at(-1)).toBe('The source went on meanwhile: the copy is 2 events behind.');
    expect(said.join('\n')).not.toMatch(/complete|level/);
    // The source stands still now: what is missing is a difference.
    const standing: CopyParts = { ...parts, source: source.store };
    expect(await compareOnly(standing)).toBe(false);
    expect(await copyOn(standing)).toBe(true);
    expect(said.at(-1)).toBe('The copy is level with the source.');
  });
});

describe('log copy --finish', () => {
  it('exits with 1 while the service runs, and ends well when it does not', async () => {
    const [source, target] = [await sourceLog(), await emptyDatabase()];
    const finishing = () => runCommandLine('log', ['copy', '--finish', '--to', target.database.url], source.database.url);
    const ledger = await openLedger(source.database.url);
    await ledger.account('ada').expire();
    const refused = await finishing();
    expect(refused.code).toBe(1);
    expect(refused.stdout).toContain('APIs or workers are connected');
    await ledger.close();
    const { code, stdout } = await finishing();
    expect(code).toBe(0);
    expect(stdout).toContain('The copy is complete. The router starts at position 0 of the target');
    await expectSame(source.database, target.database);
  }, 90_000);
});

/** A source to which two events of a stream are added as soon as somebody reads its streams: after the copy. */
function writtenWhileCompared(store: Store): Store {
  let isWritten = false;
  return {
    ...store,
    async readStreams(ranges) {
      if (!isWritten) {
        isWritten = true;
        const ada = await store.readStream('account-ada', { limit: 100 });
        await written(store, batchOf('account-ada', [{}], lastOf(ada)));
        await written(store, batchOf(newStream('account'), [{}]));
      }
      return store.readStreams(ranges);
    },
  };
}

/** A store whose positions are told from those of the source. */
function farPositions(store: Store): Store {
  return { ...store, lastPosition: async () => `far/${await store.lastPosition()}` };
}
