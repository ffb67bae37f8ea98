import { readConfig } from './config.ts';
import { createContext } from './context.ts';
import { closeOnSignal, runEntry } from './shutdown.ts';
import { startWorkers } from './workers/start.ts';

/** Router, projectors and expirer, on the database at DATABASE_URL. */
await runEntry(async () => {
  const context = await createContext(readConfig(process.env));
  const workers = startWorkers(context);
  context.log.info('workers are running');
  closeOnSignal(context.log, async () => {
    await workers.close();
    await context.close();
  });
});
