import { readConfig } from './config.ts';
import { createContext } from './context.ts';
import { serve } from './serve.ts';
import { closeOnSignal, runEntry } from './shutdown.ts';

/** The API alone, on the database at DATABASE_URL. */
await runEntry(async () => {
  const context = await createContext(readConfig(process.env));
  const app = await serve(context).catch(async (error: unknown) => {
    await context.close();
    throw error;
  });
  closeOnSignal(context.log, async () => {
    await app.close();
    await context.close();
  });
});
