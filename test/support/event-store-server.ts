import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';

/** In ms: how long the double may take to begin, on a machine that is busy with other things, and to end. */
const BEGINS_WITHIN = 60_000;
const ENDS_WITHIN = 10_000;

const DOUBLE = new URL('./kurrent/serve.ts', import.meta.url).pathname;

/** What keeps the log while the suites run on KurrentDB. Whoever starts it stops it. */
export type EventStoreServer = { readonly url: string; stop(): Promise<void> };

/** The server at EVENTSTORE_URL where there is one, or else the double, in a process of its own. */
export async function startEventStoreServer(): Promise<EventStoreServer> {
  const given = process.env['EVENTSTORE_URL'] ?? '';
  if (given !== '') return { url: given, stop: async () => undefined };
  const child = spawn(process.execPath, ['--import', 'tsx', DOUBLE], { stdio: ['ignore', 'pipe', 'inherit'] });
  const exited = once(child, 'exit');
  const stop = async (): Promise<void> => {
    child.kill('SIGTERM');
    const late = setTimeout(() => child.kill('SIGKILL'), ENDS_WITHIN);
    await exited;
    clearTimeout(late);
  };
  const late = setTimeout(() => child.kill('SIGKILL'), BEGINS_WITHIN);
  for await (const line of createInterface({ input: child.stdout })) {
    const url = /^listening on (\S+)$/.exec(line)?.[1];
    if (url === undefined) continue;
    clearTimeout(late);
    return { url, stop };
  }
  clearTimeout(late);
  await stop();
  throw new Error('the double of KurrentDB did not begin');
}
