import { type JWTPayload, SignJWT } from 'jose';
import { pino } from 'pino';
import { readConfig } from '../../src/config.ts';
import { type Context, createContext } from '../../src/context.ts';
import { serve } from '../../src/serve.ts';
import { startWorkers } from '../../src/workers/start.ts';
import { environmentOn } from './backends.ts';
import { type ApiClient, createApiClient } from './api-client.ts';

export const SERVICE_KEY = 'test-service-key-0123456789';
export const JWT_SECRET = 'test-jwt-secret-0123456789-0123456789';

/** The whole service in this process, over real HTTP on a port of its own. */
export type Service = {
  readonly url: string;
  readonly context: Context;
  /** Calls with the service key, in the name of an app where one is given. */
  app(name?: string): ApiClient;
  /** Calls with the token of a user, of another role than `user` where one is given. */
  user(sub: string, role?: string): Promise<ApiClient>;
  readonly anonymous: ApiClient;
  /** What the service has logged, a line each. */
  readonly logged: readonly string[];
  /** Answers what was accepted and gives everything back. */
  close(): Promise<void>;
};

/** Starts the service on a migrated database. `env` adds to its environment or replaces what is in it. */
export async function startService({
  databaseUrl,
  workers: withWorkers = false,
  env = {},
}: {
  readonly databaseUrl: string;
  readonly workers?: boolean;
  readonly env?: Readonly<Record<string, string>>;
}): Promise<Service> {
  const logged: string[] = [];
  const config = readConfig({
    ...environmentOn(databaseUrl),
    HOST: '127.0.0.1',
    PORT: '0',
    MANA_SERVICE_KEY: SERVICE_KEY,
    JWT_SECRET,
    LOG_LEVEL: 'info',
    ...env,
  });
  const log = pino({ level: config.logLevel }, { write: (line: string) => void logged.push(line) });
  const context = await createContext(config, { log });
  const workers = withWorkers ? startWorkers(context) : undefined;
  const closeBehind = async (): Promise<void> => {
    await workers?.close();
    await context.close();
  };
  const app = await serve(context).catch(async (error: unknown) => {
    await closeBehind();
    throw error;
  });
  const { port } = app.server.address() as { port: number };
  const url = `http://127.0.0.1:${port}`;
  return {
    url,
    context,
    app: (name) => createApiClient(url, { 'x-service-key': SERVICE_KEY, ...(name === undefined ? {} : { 'x-app-id': name }) }),
    user: async (sub, role = 'user') =>
      createApiClient(url, { authorization: `Bearer ${await localToken(sub, LOCAL_ISSUER, { role })}` }),
    anonymous: createApiClient(url),
    logged,
    async close() {
      await app.close();
      await closeBehind();
    },
  };
}

const LOCAL_ISSUER = 'mana-credits';

/** A token as a setup without an auth service signs it, but for its issuer and further claims where they are given. */
export async function localToken(sub: string, issuer = LOCAL_ISSUER, claims: JWTPayload = { role: 'user' }): Promise<string> {
  return new SignJWT(claims)
    .setProtectedHeader({ alg: 'HS256' })
    .setSubject(sub)
    .setIssuer(issuer)
    .setAudience('mana')
    .setExpirationTime('1h')
    .sign(new TextEncoder().encode(JWT_SECRET));
}
