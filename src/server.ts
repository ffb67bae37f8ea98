import { setTimeout as delay } from 'node:timers/promises';
import { readConfig } from './config.ts';
import { createContext } from './context.ts';
import { serve } from './serve.ts';
import { closeOnSignal, runEntry } from './shutdown.ts';

/** The API alone, on the database at DATABASE_URL. */
await runEntry(async () => {
  const config = readConfig(process.env);
  const context = await createContext(config);
  let isStopping = false;
  const app = await serve(context, { isStopping: () => isStopping }).catch(async (error: unknown) => {
    await context.close();
    throw error;
  });
  const close = async () => {
    isStopping = true;
    // Whoever sends requests here looks at /ready now and then, and needs a moment to see it.
    await delay(config.shutdownDrain);
    await app.close();
    await context.close();
  };
  closeOnSignal(context.log, close, { drain: config.shutdownDrain });
});
