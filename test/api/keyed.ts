import { vi } from 'vitest';
import { createKey } from '../../src/operational/service-keys.ts';
import { type ApiClient, createApiClient, type HeadersSent } from '../support/api-client.ts';
import type { TestDatabase } from '../support/database.ts';
import type { Service } from '../support/service.ts';

/** A service's key, and how it calls. */
export type Keyed = {
  readonly text: string;
  readonly id: string;
  /** Calls with the key, in the name of an app where one is given. */
  as(service: Service, app?: string, headers?: HeadersSent): ApiClient;
};

/** A key with this text. */
export function keyed(text: string): Keyed {
  return {
    text,
    id: text.split('_')[1] ?? '',
    as: ({ url }, app, headers = {}) =>
      createApiClient(url, { 'x-service-key': text, ...(app === undefined ? {} : { 'x-app-id': app }), ...headers }),
  };
}

/** Makes a key in a test database, as the command line does. */
export async function makeKey(
  { superuser }: TestDatabase,
  {
    name,
    apps = [name],
    scopes,
  }: { readonly name: string; readonly apps?: readonly string[]; readonly scopes: readonly string[] },
): Promise<Keyed> {
  const text = await createKey(superuser, { name, apps, scopes });
  if (text === undefined) throw new Error(`a key ${name} is in force`);
  return keyed(text);
}

const elapsed = performance.now.bind(performance);
let passed = 0;

/**
 * Returns what lets time pass for whoever measures it, so that nobody has to wait. What earlier tests have left is long
 * past; vi.restoreAllMocks() takes time back to what it is.
 */
export function passingTime(): (milliseconds: number) => void {
  const pass = (milliseconds: number): void => {
    passed += milliseconds;
    vi.spyOn(performance, 'now').mockImplementation(() => elapsed() + passed);
  };
  pass(3_600_000);
  return pass;
}
