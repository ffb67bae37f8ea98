import { type ApiClient, createApiClient } from '../support/api-client.ts';
import { environmentOn } from '../support/backends.ts';
import { type Child, startChild } from './children.ts';

export const SERVICE_KEY = 'many-service-key-0123456789';

/** A process that runs the API, and a client of it. */
export type Api = { readonly child: Child; readonly url: string; readonly service: ApiClient };

/** Starts an API process on a migrated database and waits until it listens; on a port of its own where none is given. */
export async function startApi(databaseUrl: string, env: Readonly<Record<string, string>> = {}): Promise<Api> {
  const child = startChild({
    args: ['--import', 'tsx', 'src/server.ts'],
    env: { ...environmentOn(databaseUrl), MANA_SERVICE_KEY: SERVICE_KEY, HOST: '127.0.0.1', PORT: '0', ...env },
  });
  const url = await child.says(/Server listening at (http:\/\/127\.0\.0\.1:\d+)/);
  return { child, url, service: createApiClient(url, { 'x-service-key': SERVICE_KEY }) };
}

/** Starts a process with workers and waits until they run. */
export async function startWorker(databaseUrl: string): Promise<Child> {
  const child = startChild({ args: ['--import', 'tsx', 'src/worker.ts'], env: environmentOn(databaseUrl) });
  await child.says(/(workers are running)/);
  return child;
}
