import { rmSync } from 'node:fs';
import { vi } from 'vitest';
import { type ApiClient, createApiClient } from '../support/api-client.ts';
import { type Child, type Start, postgresOn, startChild } from './children.ts';

/** The development command, once it is ready, with what it has printed. */
export type Dev = {
  readonly child: Child;
  readonly url: string;
  readonly serviceKey: string;
  /** Calls as the demo user, with the token that was printed. */
  readonly user: ApiClient;
  readonly service: ApiClient;
  /** What it says can be pasted. */
  readonly lines: readonly string[];
};

/** The development command on a data folder, on any port. */
export function startDevChild(home: string, { env = {}, ...more }: Partial<Start> = {}): Child {
  return startChild({ args: ['--import', 'tsx', 'src/dev.ts'], ...more, env: { DATA_DIR: home, PORT: '0', ...env } });
}

/** Reads what a development command prints when it is ready. */
export async function ready(child: Child): Promise<Dev> {
  const url = await child.says(/listens on (http:\/\/localhost:\d+)/);
  const serviceKey = await child.says(/^Service key: (\S+)$/m);
  const token = await child.says(/^Token of demo-user: (\S+)$/m);
  await child.says(/(\/credits\/commit .*)\n/);
  return {
    child,
    url,
    serviceKey,
    user: createApiClient(url, { authorization: `Bearer ${token}` }),
    service: createApiClient(url, { 'x-service-key': serviceKey }),
    lines: child
      .stdout()
      .split('\n')
      .filter((line) => line.includes('curl ')),
  };
}

/** Ends what is left of a data folder, whatever a test did. */
export async function removeHome(home: string): Promise<void> {
  await killPostgres(home);
  rmSync(home, { recursive: true, force: true });
}

/** Kills the Postgres of a data folder, without a chance to write anything, and waits until it is gone. */
export async function killPostgres(home: string): Promise<void> {
  const pid = postgresOn(home);
  if (pid === undefined) return;
  process.kill(pid, 'SIGKILL');
  await stopped(home);
}

/** Until no Postgres runs on a data folder. */
export async function stopped(home: string): Promise<void> {
  await vi.waitUntil(() => postgresOn(home) === undefined, { timeout: 30_000, interval: 20 });
}
